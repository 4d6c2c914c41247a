import { describe, expect, it } from 'vitest';
import type { TaskInstance } from '@/api/schema';
import { firstOfEach, patched, rowsOf } from './rows';

const ti = (task_id: string, map_index: number, state = 'success', more: Partial<TaskInstance> = {}): TaskInstance =>
  ({
    id: 1,
    dag_id: 'd',
    run_id: 'r',
    task_id,
    map_index,
    state,
    try_number: 1,
    max_tries: 0,
    ...more,
  }) as TaskInstance;
const ITEMS = [
  ti('extract', -1),
  ti('work', 0, 'success', { started_at: '2026-01-01T00:00:02Z', ended_at: '2026-01-01T00:00:09Z' }),
  ti('work', 1, 'failed', { started_at: '2026-01-01T00:00:01Z', ended_at: '2026-01-01T00:00:05Z' }),
  ti('load', -1, 'none'),
];

describe('rowsOf', () => {
  it('folds a mapped task into one row that says how its instances are', () => {
    const rows = rowsOf(ITEMS, new Set(), '');
    expect(rows.map((row) => (row.kind === 'one' ? row.ti.task_id : `${row.taskId}*`))).toEqual([
      'extract',
      'work*',
      'load',
    ]);
    expect(rows[1]).toMatchObject({
      total: 2,
      counts: { success: 1, failed: 1 },
      startedAt: '2026-01-01T00:00:01Z',
      endedAt: '2026-01-01T00:00:09Z',
    });
  });

  it('shows the instances of one that is opened', () => {
    expect(rowsOf(ITEMS, new Set(['work']), '').map((row) => row.kind === 'one' && row.inside)).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
  });

  it('finds by a part of the name, whatever its case', () => {
    expect(rowsOf(ITEMS, new Set(), 'LO')).toHaveLength(1);
  });
});

describe('patched', () => {
  const pages = [{ items: ITEMS }];

  it('puts in what changed, and leaves the rest as it is', () => {
    const next = patched(pages, [['load', -1, 'running', 1]]);
    expect(next[0]?.items[3]?.state).toBe('running');
    expect(next[0]?.items[0]).toBe(ITEMS[0]);
  });

  it('gives the same pages back where nothing of it is in them', () => {
    expect(
      patched(pages, [
        ['other', -1, 'running', 1],
        ['load', -1, 'none', 1],
      ]),
    ).toBe(pages);
  });
});

describe('firstOfEach', () => {
  it('says how many of a task there are', () => {
    expect(firstOfEach(ITEMS).map((each) => [each.task_id, each.many])).toEqual([
      ['extract', 1],
      ['work', 2],
      ['load', 1],
    ]);
  });
});
