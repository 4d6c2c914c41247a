import { useQuery } from '@tanstack/react-query';
import { query } from '@/api/queries';
import type { DagRun, TaskInstance } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { Time } from '@/components/Time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './HomePage.module.css';
import { Panel, Quiet } from './Panel';
import { nameOf } from './RunningNow';

/** The newest failed task instances: they say why their runs failed. */
export const FAILED = { state: ['failed' as const], limit: 60 };

/** What a failed task instance says of itself, in one line. */
function whyOf(ti: TaskInstance): string {
  const lines = (ti.detail ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  // The last line of a traceback is the error itself.
  const line = lines[0]?.startsWith('Traceback') ? lines.at(-1) : lines[0];
  return line ?? (ti.cause ? t(`cause.${ti.cause}`) : t('home.failed.unknown'));
}

export function Failures({ failed }: { failed: readonly DagRun[] }) {
  const instances = useQuery({ ...query('/task-instances', { query: FAILED }), enabled: failed.length > 0 });
  const byRun = new Map<string, TaskInstance>();
  for (const ti of instances.data?.items ?? []) byRun.set(`${ti.dag_id}\n${ti.run_id}`, ti);
  return (
    <Panel
      title={t('home.failed')}
      after={failed.length > 0 && <Link to={to.runs({ state: 'failed' })}>{t('home.failed.all')}</Link>}
    >
      {failed.length === 0 && <Quiet>{t('home.failed.none')}</Quiet>}
      <ul className={classes.list} data-lines="2">
        {failed.map((run) => {
          const ti = byRun.get(`${run.dag_id}\n${run.run_id}`);
          return (
            <li key={`${run.dag_id} ${run.run_id}`}>
              <StateIcon state="failed" />
              <span className={classes.grow}>
                <span className="cut">
                  <Link to={to.dag(run.dag_id)} className={classes.strong}>
                    {run.dag_id}
                  </Link>
                  <Link to={to.run(run.dag_id, run.run_id)} className={classes.runId}>
                    {run.run_id}
                  </Link>
                </span>
                {ti && (
                  <Link
                    to={to.task(ti.dag_id, ti.run_id, ti.task_id, { mapIndex: ti.map_index, tab: 'log' })}
                    className={`cut ${classes.why}`}
                    title={ti.detail ?? undefined}
                  >
                    {t('home.failed.why', { task: nameOf(ti), why: whyOf(ti) })}
                  </Link>
                )}
              </span>
              <span className={classes.end}>
                <Time at={run.ended_at} relative />
              </span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}
