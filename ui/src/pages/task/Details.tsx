import type { TaskInstance } from '@/api/schema';
import { Time } from '@/components/Time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { wordOf } from '@/states/states';
import { t } from '@/texts';
import classes from './Task.module.css';
import { Facts } from './parts/Facts';

/** Everything that is known of a task instance. */
export function Details({ ti }: { ti: TaskInstance }) {
  return (
    <div className={`panel ${classes.padded}`}>
      <Facts
        stacked
        facts={[
          { label: t('task.fact.dag'), value: <Link to={to.dag(ti.dag_id)}>{ti.dag_id}</Link> },
          { label: t('task.fact.run'), value: <Link to={to.run(ti.dag_id, ti.run_id)}>{ti.run_id}</Link> },
          { label: t('task.fact.task'), value: ti.task_id },
          ti.map_index >= 0 && { label: t('task.fact.mapIndex'), value: ti.map_index },
          { label: t('task.fact.id'), value: <span className="number">{String(ti.id)}</span> },
          { label: t('task.fact.state'), value: wordOf(ti.state) },
          { label: t('task.fact.operator'), value: ti.operator ?? '–' },
          { label: t('task.fact.pool'), value: ti.pool ? <Link to={to.pool(ti.pool)}>{ti.pool}</Link> : '–' },
          { label: t('task.fact.queue'), value: ti.queue ?? '–' },
          { label: t('task.fact.executor'), value: ti.executor ?? '–' },
          { label: t('task.fact.priority'), value: ti.priority_weight ?? '–' },
          { label: t('task.fact.tries'), value: ti.max_tries },
          { label: t('task.fact.scheduled'), value: <Time at={ti.scheduled_at} /> },
          { label: t('task.fact.queued'), value: <Time at={ti.queued_at} /> },
          { label: t('task.fact.started'), value: <Time at={ti.started_at} /> },
          { label: t('task.fact.ended'), value: <Time at={ti.ended_at} /> },
          ti.retry_at != null && { label: t('task.fact.retryAt'), value: <Time at={ti.retry_at} /> },
        ]}
      />
    </div>
  );
}
