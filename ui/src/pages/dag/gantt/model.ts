/** The time line of a run as rows of bars. Pure. */
import type { Gantt, GanttBar } from '@/api/schema';
import { millis } from '@/components/time';

/** A try: it waited from `queued` to `started` and ran until `ended`; seconds since 1970, null: not yet. */
export type Bar = {
  number: number;
  state: string;
  queued: number | null;
  started: number | null;
  ended: number | null;
};
export type GanttRow = { key: string; taskId: string; mapIndex: number; bars: Bar[]; critical: boolean };
export type Span = { from: number; until: number };

const seconds = (moment: string | null | undefined): number | null => {
  const ms = millis(moment);
  return ms === null ? null : ms / 1000;
};
export const nameOf = (bar: Pick<GanttBar, 'task_id' | 'map_index'>): string =>
  bar.map_index < 0 ? bar.task_id : `${bar.task_id}[${bar.map_index}]`;
const beginOf = (bar: Bar): number => bar.queued ?? bar.started ?? Infinity;

/** A row for each task instance that was ever queued, in the order in which they began. */
export function rowsOf(gantt: Gantt): GanttRow[] {
  const critical = new Set(gantt.critical_path);
  const rows = new Map<string, GanttRow>();
  for (const bar of gantt.bars) {
    const key = nameOf(bar);
    let row = rows.get(key);
    if (!row)
      rows.set(
        key,
        (row = { key, taskId: bar.task_id, mapIndex: bar.map_index, bars: [], critical: critical.has(key) }),
      );
    row.bars.push({
      number: bar.try_number,
      state: bar.state,
      queued: seconds(bar.queued_at),
      started: seconds(bar.started_at),
      ended: seconds(bar.ended_at),
    });
  }
  const found = [...rows.values()];
  for (const row of found) row.bars.sort((a, b) => a.number - b.number);
  return found.sort(
    (a, b) => beginOf(a.bars[0]!) - beginOf(b.bars[0]!) || a.key.localeCompare(b.key, 'en', { numeric: true }),
  );
}

/** From the first bar to the last; what still runs goes on until `now`. */
export function spanOf(rows: readonly GanttRow[], begun: number | null, now: number): Span {
  let from = begun ?? Infinity;
  let until = -Infinity;
  for (const { bars } of rows) {
    for (const bar of bars) {
      from = Math.min(from, beginOf(bar));
      until = Math.max(until, bar.ended ?? now);
    }
  }
  if (from > until)
    return {
      from: Number.isFinite(from) ? from : now,
      until: Math.max(now, Number.isFinite(from) ? from + 1 : now + 1),
    };
  return { from, until: Math.max(until, from + 0.001) };
}

/** Where a part of a bar is within a span, in per cent; null: outside of it. */
export function within(span: Span, from: number, until: number): { left: number; width: number } | null {
  const length = span.until - span.from;
  const left = Math.max(0, (from - span.from) / length);
  const right = Math.min(1, (until - span.from) / length);
  return right < left || left > 1 || right < 0 ? null : { left: left * 100, width: (right - left) * 100 };
}

/** A span made longer (factor > 1) or shorter around a point, and moved by a share of its length; never outside of `all`. */
export function zoomed(span: Span, all: Span, factor: number, shift = 0): Span | null {
  const length = Math.max(0.002, (span.until - span.from) * factor);
  if (length >= all.until - all.from) return null;
  const middle = (span.from + span.until) / 2 + shift * length;
  const from = Math.min(Math.max(all.from, middle - length / 2), all.until - length);
  return { from, until: from + length };
}
