import { describe, expect, it } from 'vitest';
import type { Gantt, GanttBar } from '@/api/schema';
import { rowsOf, spanOf, within, zoomed } from './model';

const at = (second: number) => new Date(second * 1000).toISOString();
const bar = (
  task_id: string,
  try_number: number,
  queued: number,
  started: number | null,
  ended: number | null,
  map_index = -1,
) =>
  ({
    task_id,
    map_index,
    try_number,
    state: 'success',
    queued_at: at(queued),
    started_at: started === null ? null : at(started),
    ended_at: ended === null ? null : at(ended),
  }) as GanttBar;
const gantt: Gantt = {
  bars: [
    bar('b', 2, 30, 31, null),
    bar('a', 1, 10, 11, 15),
    bar('m', 1, 12, 13, 14, 10),
    bar('b', 1, 16, 17, 20),
    bar('m', 1, 12, 13, 14, 9),
  ],
  critical_path: ['a', 'm[9]'],
  truncated: false,
};

describe('the time line of a run', () => {
  it('has a row for each task instance in the order of their beginning, with its tries in order', () => {
    const rows = rowsOf(gantt);
    expect(rows.map((row) => row.key)).toEqual(['a', 'm[9]', 'm[10]', 'b']);
    expect(rows[3]!.bars.map((each) => each.number)).toEqual([1, 2]);
    expect(rows.filter((row) => row.critical).map((row) => row.key)).toEqual(['a', 'm[9]']);
  });
  it('spans from the first to the last, or to now while something runs', () => {
    expect(spanOf(rowsOf(gantt), null, 50)).toEqual({ from: 10, until: 50 });
    expect(spanOf(rowsOf({ ...gantt, bars: gantt.bars.slice(1) }), 8, 50)).toEqual({ from: 8, until: 20 });
    expect(spanOf([], 8, 50)).toEqual({ from: 8, until: 50 });
  });
  it('cuts bars at the edges of what is seen', () => {
    const span = { from: 10, until: 20 };
    expect(within(span, 12, 15)).toEqual({ left: 20, width: 30 });
    expect(within(span, 5, 15)).toEqual({ left: 0, width: 50 });
    expect(within(span, 15, 99)).toEqual({ left: 50, width: 50 });
    expect(within(span, 21, 22)).toBeNull();
    expect(within(span, 1, 9)).toBeNull();
  });
  it('is zoomed and moved within its whole length', () => {
    const all = { from: 0, until: 100 };
    expect(zoomed(all, all, 0.5)).toEqual({ from: 25, until: 75 });
    expect(zoomed({ from: 0, until: 10 }, all, 1, -1)).toEqual({ from: 0, until: 10 });
    expect(zoomed({ from: 20, until: 30 }, all, 1, 0.5)).toEqual({ from: 25, until: 35 });
    expect(zoomed({ from: 20, until: 80 }, all, 2)).toBeNull();
  });
});
