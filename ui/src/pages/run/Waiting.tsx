import { useQueries, useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { Explanation, Run } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { useLiveQueries } from '@/live/live';
import { Reasons } from '@/pages/task/parts/Why';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { isFinished } from '@/states/states';
import { t } from '@/texts';
import classes from './Run.module.css';
import { firstOfEach } from './rows';

const STATES = ['scheduled', 'queued', 'up_for_retry', 'up_for_reschedule', 'deferred', 'restarting'] as const;
/** Tasks that are explained; of the others only that they wait is said. */
const SHOWN = 4;

/** What of an unfinished run could go on but does not, and what it waits for, in words. */
export function Waiting({ run }: { run: Run }) {
  const counts = run.counts ?? {};
  const held = STATES.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  // Of a run that has not begun, what holds one task holds them all.
  const idle = run.state === 'queued' || (held === 0 && !counts.running && !isFinished(run.state));
  const path = { dag_id: run.dag_id, run_id: run.run_id };
  const asked = { path, query: { state: idle ? ['none'] : STATES, limit: 500 } };
  const list = useQuery({
    ...query('/dags/{dag_id}/runs/{run_id}/tasks', asked as never),
    enabled: !isFinished(run.state) && (held > 0 || idle),
  });
  const tasks = isFinished(run.state) || (held === 0 && !idle) ? [] : firstOfEach(list.data?.items ?? []);
  const shown = idle ? tasks.slice(0, 1) : tasks.slice(0, SHOWN);
  const more = Boolean(list.data?.next);
  const explained = useQueries({
    queries: shown.map((ti) => ({
      ...query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain', {
        path: { ...path, task_id: ti.task_id },
        query: { map_index: ti.map_index },
      }),
      refetchInterval: 15_000,
    })),
  });
  useLiveQueries(
    { dagId: run.dag_id, runId: run.run_id, kinds: ['tis', 'runs', 'pools'], topics: ['processes'] },
    [keyOf('/dags/{dag_id}/runs/{run_id}/tasks', asked), ['/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain']],
    1_500,
  );
  if (shown.length === 0) return null;
  return (
    <section className={`panel ${classes.waiting}`} aria-labelledby="run-waiting">
      <h2 id="run-waiting">{t('run.waiting')}</h2>
      <ul>
        {shown.map((ti, at) => {
          const explanation = (explained[at]?.data as Explanation[] | undefined)?.[0];
          const many = tasks[at]?.many ?? 1;
          return (
            <li key={ti.task_id}>
              <StateIcon state={ti.state} size={14} />
              <div>
                <Link
                  to={to.task(run.dag_id, run.run_id, ti.task_id, { mapIndex: many > 1 ? -1 : ti.map_index })}
                  className={classes.name}
                >
                  {ti.task_id}
                  {ti.map_index >= 0 && many === 1 && `[${ti.map_index}]`}
                </Link>{' '}
                {many > 1 && (
                  <span className="dim">
                    {t(more && at === tasks.length - 1 ? 'run.waiting.instancesOrMore' : 'run.waiting.instances', {
                      count: many,
                    })}
                  </span>
                )}
                {explanation ? <Reasons reasons={explanation.reasons} pool={ti.pool} /> : <div className="dim">…</div>}
              </div>
            </li>
          );
        })}
      </ul>
      {tasks.length > shown.length && !idle && (
        <p className="dim">{t('run.waiting.more', { count: tasks.length - shown.length })}</p>
      )}
    </section>
  );
}
