/** Between places in a log, in pixels, and places of the scroll bar: an element cannot be as high as a long log is. */

const HIGHEST = 12_000_000;

export type Scale = { total: number; space: number; view: number };

export const scaleOf = (total: number, view: number): Scale => ({ total, space: Math.min(total, HIGHEST), view });

/** The place in the log for a place of the scroll bar. */
export function inLog({ total, space, view }: Scale, scrollTop: number): number {
  if (total === space) return scrollTop;
  return (scrollTop / Math.max(1, space - view)) * (total - view);
}

/** The place of the scroll bar for a place in the log. */
export function ofBar({ total, space, view }: Scale, place: number): number {
  const within = Math.max(0, Math.min(place, total - view));
  if (total === space) return within;
  return (within / Math.max(1, total - view)) * (space - view);
}
