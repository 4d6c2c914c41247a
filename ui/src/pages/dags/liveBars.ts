/** Keeps the last runs of dags in step with the changes that come, without asking for the lists again. */
import { type InfiniteData, useQueryClient } from '@tanstack/react-query';
import { keyOf } from '@/api/queries';
import type { Dag, RunBar } from '@/api/schema';
import { type RunChange, useLive } from '@/live/live';

type DagPage = { items: Dag[]; next?: string | null };

const momentOf = (seconds: number | undefined): string | null =>
  seconds === undefined ? null : new Date(seconds * 1000).toISOString();

function barOf(change: RunChange): RunBar {
  return {
    run_id: change.run_id,
    run_type: change.run_type as RunBar['run_type'],
    state: change.state as RunBar['state'],
    run_after: momentOf(change.run_after)!,
    logical_date: momentOf(change.logical_date),
    started_at: momentOf(change.started_at),
    ended_at: momentOf(change.ended_at),
  };
}

/** A dag's last runs after a change of one: newest first, as many as there were places. */
export function withChange(runs: readonly RunBar[], change: RunChange, places: number): RunBar[] {
  const bar = barOf(change);
  const at = runs.findIndex((run) => run.run_id === change.run_id);
  if (at >= 0) return runs.map((run, index) => (index === at ? bar : run));
  const newest = runs[0];
  // An old run that is not shown has changed.
  if (newest && Date.parse(newest.run_after) > Date.parse(bar.run_after) && runs.length >= places) return [...runs];
  return [bar, ...runs].slice(0, places);
}

const PLACES = 14;

export function useLiveBars(): void {
  const client = useQueryClient();
  useLive({ kinds: ['runs'] }, (changes) => {
    if (changes.runs.length === 0) return;
    const byDag = new Map<string, RunChange[]>();
    for (const run of changes.runs) byDag.set(run.dag_id, [...(byDag.get(run.dag_id) ?? []), run]);
    const patch = (dag: Dag): Dag => {
      const of = byDag.get(dag.dag_id);
      if (!of) return dag;
      return { ...dag, last_runs: of.reduce((runs, change) => withChange(runs, change, PLACES), dag.last_runs) };
    };
    client.setQueriesData<InfiniteData<DagPage>>(
      { queryKey: keyOf('/dags'), predicate: (query) => query.queryKey.at(-1) === 'pages' },
      (data) => {
        if (!data?.pages.some((page) => page.items.some((dag) => byDag.has(dag.dag_id)))) return data;
        return { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(patch) })) };
      },
    );
  });
}
