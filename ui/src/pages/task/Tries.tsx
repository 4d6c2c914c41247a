import type { Try } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { StateBadge } from '@/components/StateBadge';
import { Time } from '@/components/Time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Task.module.css';
import { causeWord, signalName } from './parts/Cause';

type Props = { tries: readonly Try[]; of: { dagId: string; runId: string; taskId: string; mapIndex: number } };

/** Every try with how it ended, the newest first. */
export function Tries({ tries, of }: Props) {
  return (
    <div className={`panel ${classes.wide}`}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th>{t('task.tries.col.try')}</th>
            <th>{t('task.tries.col.state')}</th>
            <th>{t('task.tries.col.started')}</th>
            <th>{t('task.tries.col.waited')}</th>
            <th>{t('task.tries.col.took')}</th>
            <th>{t('task.tries.col.where')}</th>
            <th>{t('task.tries.col.why')}</th>
          </tr>
        </thead>
        <tbody>
          {[...tries].reverse().map((each) => (
            <tr key={each.try_number}>
              <td>
                <Link to={to.task(of.dagId, of.runId, of.taskId, { mapIndex: of.mapIndex, attempt: each.try_number })}>
                  {t('task.try', { number: each.try_number })}
                </Link>
              </td>
              <td>
                <StateBadge state={each.state} />
              </td>
              <td>
                <Time at={each.started_at} />
              </td>
              <td>
                <Duration from={each.queued_at} until={each.started_at ?? each.ended_at} />
              </td>
              <td>
                <Duration from={each.started_at} until={each.ended_at} />
              </td>
              <td>
                {each.executor}
                {each.host && <span className="dim"> · {each.host}</span>}
              </td>
              <td>
                {causeWord(each.cause)}
                {each.exit_code != null &&
                  each.exit_code !== 0 &&
                  ` · ${t('task.cause.exit', { code: String(each.exit_code) })}`}
                {each.signal != null && ` · ${t('task.cause.signal', { signal: signalName(each.signal) })}`}
                {each.detail && <div className="mono">{each.detail}</div>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
