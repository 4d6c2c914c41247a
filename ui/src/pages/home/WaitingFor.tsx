import type { Waiting } from '@/api/schema';
import { Sentence } from '@/pages/task/parts/Why';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { formatNumber, t } from '@/texts';
import classes from './HomePage.module.css';
import { Panel, Quiet } from './Panel';

/** What has to do with workers. */
const WORKERS = ['capacity', 'no_executor', 'parallelism', 'no_worker', 'drained', 'queue'];

/** Where to see more of what is waited for. */
function placeOf(entry: Waiting): string | null {
  if (!entry.name) return null;
  if (entry.kind === 'pool') return to.pool(entry.name);
  if (['dag_limit', 'paused', 'run_queued', 'run_after'].includes(entry.kind)) return to.dag(entry.name);
  if (WORKERS.includes(entry.kind)) return to.workers();
  return null;
}

export function WaitingFor({ waiting, notYet }: { waiting: readonly Waiting[]; notYet: number }) {
  return (
    <Panel title={t('home.waiting')}>
      {waiting.length === 0 && notYet === 0 && <Quiet>{t('home.waiting.none')}</Quiet>}
      <ul className={classes.list}>
        {waiting.map((entry) => {
          const place = placeOf(entry);
          return (
            <li key={`${entry.kind} ${entry.name}`}>
              <span className={classes.waitCount}>{formatNumber(entry.count)}</span>
              <span className={classes.grow}>
                {place ? (
                  <Link to={place}>
                    <Sentence text={entry.text} />
                  </Link>
                ) : (
                  <Sentence text={entry.text} />
                )}
              </span>
            </li>
          );
        })}
      </ul>
      {notYet > 0 && <Quiet>{t('home.waiting.notYet', { count: notYet })}</Quiet>}
    </Panel>
  );
}
