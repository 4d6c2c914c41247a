/** In words: what holds a task instance, who has it, which place in line it has, until when. */
import { useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { Reason, TaskInstance } from '@/api/schema';
import { useMay } from '@/api/session';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import { cutCommands, parseHolder } from './holders';
import classes from './parts.module.css';

const WAITS = ['none', 'scheduled', 'queued', 'up_for_retry', 'up_for_reschedule', 'deferred', 'restarting'];
export const waits = (state: string): boolean => WAITS.includes(state);

/** Shown while it waits; asked again as things change. */
export function Why({ ti }: { ti: TaskInstance }) {
  const path = { dag_id: ti.dag_id, run_id: ti.run_id, task_id: ti.task_id };
  const asked = { path, query: { map_index: ti.map_index } };
  const explain = useQuery({
    ...query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain', asked),
    refetchInterval: 15_000,
  });
  // Places in line and holders change with what others do, so any change is one of interest; but not at its pace.
  useLiveQueries(
    { kinds: ['runs', 'tis', 'dags', 'pools'], topics: ['processes'] },
    [keyOf('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain', asked)],
    1500,
  );
  const reasons = explain.data?.[0]?.reasons ?? [];
  const starts =
    reasons.length > 0 && reasons.every((reason) => reason.kind === 'starting' || reason.kind === 'running');
  return (
    <section className={`panel ${classes.why}`} aria-label={t('task.why')}>
      <h2>{starts ? t('task.why.starting') : t('task.why')}</h2>
      {!explain.data ? (
        <span className="dim">{explain.error ? explain.error.message : t('task.why.looking')}</span>
      ) : reasons.length === 0 ? (
        <span className="dim">{t('task.why.nothing')}</span>
      ) : (
        <Reasons reasons={reasons} pool={ti.pool} />
      )}
    </section>
  );
}

/** What has to do with workers. */
const AT_WORKERS = ['capacity', 'no_worker', 'drained', 'queue'];

export function Reasons({ reasons, pool }: { reasons: readonly Reason[]; pool?: string | null }) {
  const mayLook = useMay()('viewer');
  return (
    <ul className={classes.reasons}>
      {reasons.map((reason, at) => (
        <li key={at} className={classes.reason}>
          <Sentence text={reason.text} />
          <div className={classes.reasonMore}>
            {reason.place != null && reason.of != null && (
              <span>
                {reason.place === 1
                  ? t('task.why.next', { of: reason.of })
                  : t('task.why.place', { place: reason.place, of: reason.of })}
              </span>
            )}
            {reason.until != null && <Time at={reason.until} relative />}
            {reason.kind === 'pool' && pool && <Link to={to.pool(pool)}>{t('task.why.openPool')}</Link>}
            {mayLook && AT_WORKERS.includes(reason.kind) && <Link to={to.workers()}>{t('task.why.openWorkers')}</Link>}
          </div>
          {(reason.holders?.length ?? 0) > 0 && <Holders holders={reason.holders ?? []} />}
        </li>
      ))}
    </ul>
  );
}

const SHOWN = 8;

function Holders({ holders }: { holders: readonly string[] }) {
  return (
    <ul className={classes.holders} aria-label={t('task.why.holders')}>
      <li className="dim" aria-hidden="true">
        {t('task.why.holders')}
      </li>
      {holders.slice(0, SHOWN).map((text) => {
        const holder = parseHolder(text);
        return (
          <li key={text}>
            {holder ? (
              <Link to={to.task(holder.dagId, holder.runId, holder.taskId, { mapIndex: holder.mapIndex })} title={text}>
                {holder.dagId} / {holder.taskId}
                {holder.mapIndex >= 0 && `[${holder.mapIndex}]`}
              </Link>
            ) : (
              text
            )}
          </li>
        );
      })}
      {holders.length > SHOWN && <li className="dim">{t('task.why.more', { count: holders.length - SHOWN })}</li>}
    </ul>
  );
}

/** A sentence of the scheduler; what it puts in backquotes is a command. */
export function Sentence({ text }: { text: string }) {
  return <span>{cutCommands(text).map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part))}</span>;
}
