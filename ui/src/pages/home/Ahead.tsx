import type { Planned } from '@/api/schema';
import { Upcoming } from '@/components/Time';
import { formatMoment, millis, useNow } from '@/components/time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './HomePage.module.css';
import { Panel, Quiet } from './Panel';

/** The next runs that schedules will make. */
export function Ahead({ planned }: { planned: readonly Planned[] }) {
  const now = useNow();
  return (
    <Panel title={t('home.ahead')}>
      {planned.length === 0 && <Quiet>{t('home.ahead.none')}</Quiet>}
      <ul className={classes.list}>
        {planned.slice(0, 12).map((plan) => (
          <li key={`${plan.dag_id} ${plan.run_after}`}>
            <span className={classes.aheadTime}>{formatMoment(millis(plan.run_after) ?? 0, now, true)}</span>
            <Link to={to.dag(plan.dag_id)} className={`cut ${classes.grow}`}>
              {plan.dag_id}
            </Link>
            <span className={classes.end}>
              <Upcoming at={plan.run_after} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
