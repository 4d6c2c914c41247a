import { useCallback, useMemo, useSyncExternalStore } from 'react';

export type LineRange = { from: number; to: number };

/** `#L120` or `#L120-L130` */
export function parseHash(hash: string): LineRange | null {
  const found = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash);
  if (!found) return null;
  const one = Number(found[1]);
  const other = found[2] === undefined ? one : Number(found[2]);
  return { from: Math.min(one, other), to: Math.max(one, other) };
}

const CHANGED = 'airloom-line';

function subscribe(watcher: () => void): () => void {
  for (const name of ['hashchange', 'popstate', CHANGED]) addEventListener(name, watcher);
  return () => {
    for (const name of ['hashchange', 'popstate', CHANGED]) removeEventListener(name, watcher);
  };
}

/** The lines that the address points at. */
export function useLineHash(): readonly [LineRange | null, (range: LineRange) => void] {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const range = useMemo(() => parseHash(hash), [hash]);
  const choose = useCallback(({ from, to }: LineRange) => {
    const next = from === to ? `#L${from}` : `#L${from}-L${to}`;
    history.replaceState(null, '', location.pathname + location.search + next);
    dispatchEvent(new Event(CHANGED));
  }, []);
  return [range, choose] as const;
}
