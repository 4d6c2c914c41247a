/** The states of one run's tasks, live: of a run that the grid has from there, of others by asking for their tasks. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { keyOf, pages, query } from '@/api/queries';
import { useLiveQueries } from '@/live/live';
import type { TIState } from '@/states/states';
import { ABSENT, type Counts } from './grid/board';
import { useGrid } from './grid/useGrid';

const NO_FILTER = { runType: null, state: null };

/** runId null: the newest. counts: how many instances of a task are in each state; null: the run has no such task. */
export function useRunStates(dagId: string, runId: string | null) {
  const { board, tick, parts } = useGrid(dagId, NO_FILTER);
  const column = runId === null ? board?.columns[0] : board?.column(runId);
  const elsewhere = board !== null && runId !== null && !column;
  const path = { dag_id: dagId, run_id: runId ?? '' };
  const run = useQuery({ ...query('/dags/{dag_id}/runs/{run_id}', { path }), enabled: elsewhere });
  const tasks = useInfiniteQuery({
    ...pages('/dags/{dag_id}/runs/{run_id}/tasks', { path, query: { limit: 1_000 } }),
    enabled: elsewhere,
  });
  const { hasNextPage, isFetching, fetchNextPage } = tasks;
  useEffect(() => {
    if (elsewhere && hasNextPage && !isFetching) void fetchNextPage();
  }, [elsewhere, hasNextPage, isFetching, fetchNextPage]);
  const keys = elsewhere
    ? [keyOf('/dags/{dag_id}/runs/{run_id}', { path }), keyOf('/dags/{dag_id}/runs/{run_id}/tasks', { path })]
    : [];
  useLiveQueries({ dagId, runId: runId ?? '' }, keys, 1_000);

  const counts = useMemo((): ((taskId: string) => Counts | null) => {
    if (board && column) {
      return (taskId) => {
        const at = board.positions.get(taskId);
        if (at === undefined || (column.states[at] ?? ABSENT) === ABSENT) return null;
        return board.counts(column, [at]);
      };
    }
    const byTask = new Map<string, Counts>();
    for (const { task_id, state } of tasks.data?.pages.flatMap((page) => page.items) ?? []) {
      const known = byTask.get(task_id) ?? {};
      known[state as TIState] = (known[state as TIState] ?? 0) + 1;
      byTask.set(task_id, known);
    }
    return (taskId) => byTask.get(taskId) ?? null;
    // tick: the board changes in place.
  }, [board, column, tick, tasks.data]);

  const found = column?.run ?? run.data;
  return {
    run: found ?? null,
    runs: board?.columns.map((each) => each.run) ?? [],
    counts,
    tick,
    ready: board !== null && (!elsewhere || run.data !== undefined),
    error: parts.error ?? run.error,
  };
}
