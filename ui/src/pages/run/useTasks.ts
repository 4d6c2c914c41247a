import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { keyOf, pages } from '@/api/queries';
import type { PageTaskInstance, Run, TaskInstance } from '@/api/schema';
import { useLive, usePace } from '@/live/live';
import { patched } from './rows';

const LIMIT = 500;

/** The task instances of a run, in one state or in all. States change as they do; all else follows soon after. */
export function useTasks(run: Run, state: string | null) {
  const client = useQueryClient();
  const path = { dag_id: run.dag_id, run_id: run.run_id };
  const asked = { path, query: { limit: LIMIT, state: state ? [state as TaskInstance['state']] : undefined } };
  const options = pages('/dags/{dag_id}/runs/{run_id}/tasks', asked);
  const list = useInfiniteQuery(options);
  const key = [...keyOf('/dags/{dag_id}/runs/{run_id}/tasks', asked), 'pages'];
  const many = (list.data?.pages.length ?? 0) > 2;
  // All pages that were loaded are asked for again, so a long list is asked for less often.
  const ask = usePace(() => client.invalidateQueries({ queryKey: key }, { cancelRefetch: false }), many ? 8_000 : 600);
  useLive({ dagId: run.dag_id, runId: run.run_id, kinds: ['tis', 'runs'] }, (changes) => {
    const moved = changes.tis.flatMap((entry) => entry.changes ?? []);
    if (moved.length) {
      client.setQueryData<InfiniteData<PageTaskInstance>>(key, (data) =>
        data ? { ...data, pages: patched(data.pages, moved) as PageTaskInstance[] } : data,
      );
    }
    ask();
  });
  const items = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  return { list, items };
}
