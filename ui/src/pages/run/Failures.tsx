import { useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { Run, TaskInstance } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { useLiveQueries } from '@/live/live';
import { causeWord } from '@/pages/task/parts/Cause';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Run.module.css';

const SHOWN = 6;

/** What failed in a run, with its cause: what one wants to know first. What failed and is tried again counts too. */
export function Failures({ run }: { run: Run }) {
  const counts = run.counts ?? {};
  const failed = counts.failed ?? 0;
  const retried = counts.up_for_retry ?? 0;
  const path = { dag_id: run.dag_id, run_id: run.run_id };
  const asked = { path, query: { state: ['failed', 'up_for_retry'] as const, limit: SHOWN } };
  const options = query('/dags/{dag_id}/runs/{run_id}/tasks', asked as never);
  const list = useQuery({ ...options, enabled: failed + retried > 0 });
  useLiveQueries(
    { dagId: run.dag_id, runId: run.run_id, kinds: ['tis'] },
    [keyOf('/dags/{dag_id}/runs/{run_id}/tasks', asked)],
    800,
  );
  if (failed + retried === 0 || !list.data) return null;
  const upstream = counts.upstream_failed ?? 0;
  return (
    <section
      className={`panel ${classes.failures}`}
      data-soft={failed === 0 || undefined}
      aria-labelledby="run-failures"
    >
      <h2 id="run-failures">{failed ? t('run.failures', { count: failed }) : t('run.failures.retry')}</h2>
      <ul>
        {list.data.items.map((ti) => (
          <Failure key={`${ti.task_id} ${ti.map_index}`} ti={ti} />
        ))}
      </ul>
      {(upstream > 0 || failed + retried > SHOWN) && (
        <p className="dim">
          {upstream > 0 && t('run.failures.upstream', { count: upstream })}{' '}
          {failed + retried > SHOWN && (
            <Link to={`${to.run(run.dag_id, run.run_id)}?state=failed`}>{t('run.failures.all')}</Link>
          )}
        </p>
      )}
    </section>
  );
}

function Failure({ ti }: { ti: TaskInstance }) {
  return (
    <li>
      <StateIcon state={ti.state} size={14} />
      <div>
        <Link to={to.task(ti.dag_id, ti.run_id, ti.task_id, { mapIndex: ti.map_index })} className={classes.name}>
          {ti.task_id}
          {ti.map_index >= 0 && `[${ti.map_index}]`}
        </Link>{' '}
        <span className="dim">
          {[causeWord(ti.cause), ti.max_tries > 0 && t('run.failures.try', { number: ti.try_number })]
            .filter(Boolean)
            .join(', ')}
        </span>
        <div className={classes.detail}>{ti.detail || t('run.failures.unknown')}</div>
      </div>
    </li>
  );
}
