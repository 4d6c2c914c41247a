import { useEffect } from 'react';
import { keyOf } from '@/api/queries';
import { type Changes, useLiveQueries } from '@/live/live';
import { navigate } from '@/routing/router';

export type TaskRef = { dagId: string; runId: string; taskId: string };
const BASE = '/dags/{dag_id}/runs/{run_id}/tasks/{task_id}' as const;

export const pathOf = ({ dagId, runId, taskId }: TaskRef) => ({ dag_id: dagId, run_id: runId, task_id: taskId });

/** Whether changes of a run are about a task, or about one instance of it. */
export function isAbout(changes: Changes, taskId: string, mapIndex: number | null): boolean {
  if (changes.all || changes.runs.length > 0) return true;
  return changes.tis.some(
    (entry) =>
      entry.many ||
      entry.changes?.some(([task, index]) => task === taskId && (mapIndex === null || index === mapIndex)),
  );
}

/** Asks again what is shown of a task when it changes. mapIndex null: any of its instances. */
export function useLiveTask(ref: TaskRef, mapIndex: number | null): void {
  const path = pathOf(ref);
  const keys = [
    keyOf(BASE, { path }),
    keyOf(`${BASE}/tries`, { path }),
    keyOf(`${BASE}/xcoms`, { path }),
    keyOf('/dags/{dag_id}/runs/{run_id}/tasks', { path: { dag_id: ref.dagId, run_id: ref.runId } }),
  ];
  useLiveQueries({ dagId: ref.dagId, runId: ref.runId }, keys, undefined, (changes) =>
    isAbout(changes, ref.taskId, mapIndex),
  );
}

/** `latest`, or the beginning of an id, may stand for a run in the address; once its id is known, that is there instead. */
export function useTrueRun(given: string, known: string | undefined): void {
  useEffect(() => {
    if (!known || known === given) return;
    const part = (id: string) => `/runs/${encodeURIComponent(id)}/`;
    navigate(location.pathname.replace(part(given), part(known)) + location.search + location.hash, { replace: true });
  }, [given, known]);
}
