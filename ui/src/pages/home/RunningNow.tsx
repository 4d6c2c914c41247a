import type { TaskInstance } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { StateIcon } from '@/components/StateIcon';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './HomePage.module.css';
import { Panel, Quiet } from './Panel';

/** `task` or `task[3]` */
export const nameOf = (ti: { task_id: string; map_index: number }): string =>
  ti.map_index < 0 ? ti.task_id : `${ti.task_id}[${ti.map_index}]`;

export function RunningNow({ running, total }: { running: readonly TaskInstance[]; total: number }) {
  const more = total - running.length;
  return (
    <Panel title={t('home.running')}>
      {running.length === 0 && <Quiet>{t('home.running.none')}</Quiet>}
      <ul className={classes.list}>
        {running.map((ti) => (
          <li key={ti.id}>
            <StateIcon state={ti.state} />
            <span className={`cut ${classes.grow}`}>
              <Link to={to.dag(ti.dag_id)} className={classes.strong}>
                {ti.dag_id}
              </Link>
              <span className="dim"> / </span>
              <Link to={to.task(ti.dag_id, ti.run_id, ti.task_id, { mapIndex: ti.map_index })}>{nameOf(ti)}</Link>
              <Link to={to.run(ti.dag_id, ti.run_id)} className={classes.runId}>
                {ti.run_id}
              </Link>
            </span>
            {ti.try_number > 1 && (
              <span className="dim">{t('home.tryOf', { number: ti.try_number, most: ti.max_tries + 1 })}</span>
            )}
            <span className={classes.end}>
              <Duration from={ti.started_at} />
            </span>
          </li>
        ))}
      </ul>
      {more > 0 && running.length > 0 && <Quiet>{t('home.running.more', { count: more })}</Quiet>}
    </Panel>
  );
}
