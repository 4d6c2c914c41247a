import type { Run } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { Time } from '@/components/Time';
import { CopyButton } from '@/pages/task/parts/CopyButton';
import { Facts } from '@/pages/task/parts/Facts';
import { JsonTree } from '@/pages/task/parts/JsonTree';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t, textOf } from '@/texts';
import classes from './Run.module.css';

/** Characters of a commit that are enough to know it by. */
const SHORT_COMMIT = 10;

const hasConf = (run: Run): boolean => Object.keys(run.conf).length > 0;
const kindOf = (run: Run): string => textOf(`runType.${run.run_type}`) ?? run.run_type;

/** What is to be known of a run at a glance. */
export function RunFacts({ run }: { run: Run }) {
  return (
    <>
      <Facts
        facts={[
          { label: t('run.fact.type'), value: kindOf(run) },
          run.triggered_by != null && { label: t('run.fact.by'), value: run.triggered_by },
          { label: t('run.fact.due'), value: <Time at={run.run_after} /> },
          { label: t('run.fact.started'), value: <Time at={run.started_at} /> },
          run.ended_at != null && { label: t('run.fact.ended'), value: <Time at={run.ended_at} /> },
          run.started_at != null && {
            label: run.ended_at ? t('run.fact.took') : t('run.fact.running'),
            value: <Duration from={run.started_at} until={run.ended_at} />,
          },
          run.cancelled_at != null && { label: t('run.fact.cancelled'), value: <Time at={run.cancelled_at} /> },
          {
            label: t('run.fact.version'),
            value: (
              <Link to={to.dag(run.dag_id, 'code', { version: run.version })}>
                {t('run.fact.version.link', { version: String(run.version) })}
              </Link>
            ),
          },
          run.commit != null && {
            label: t('run.fact.commit'),
            value: <code title={run.commit}>{run.commit.slice(0, SHORT_COMMIT)}</code>,
          },
          hasConf(run) && {
            label: t('run.fact.conf'),
            value: <code className={classes.conf}>{shortened(run.conf)}</code>,
          },
        ]}
      />
      <Views dagId={run.dag_id} runId={run.run_id} />
    </>
  );
}

function shortened(conf: Run['conf']): string {
  const text = JSON.stringify(conf);
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** Everything that is known of a run. */
export function RunDetails({ run }: { run: Run }) {
  return (
    <div className={`panel ${classes.details}`}>
      <Facts
        stacked
        facts={[
          { label: t('run.fact.id'), value: String(run.id) },
          { label: t('run.fact.type'), value: kindOf(run) },
          { label: t('run.fact.due'), value: <Time at={run.run_after} /> },
          { label: t('run.fact.logicalDate'), value: <Time at={run.logical_date} /> },
          {
            label: t('run.fact.interval'),
            value: (
              <>
                <Time at={run.data_interval_start} /> – <Time at={run.data_interval_end} />
              </>
            ),
          },
          { label: t('run.fact.queued'), value: <Time at={run.queued_at} /> },
          { label: t('run.fact.started'), value: <Time at={run.started_at} /> },
          {
            label: t('run.fact.late'),
            value: <Duration from={run.run_after} until={run.started_at} running={false} />,
          },
          { label: t('run.fact.ended'), value: <Time at={run.ended_at} /> },
          run.commit != null && { label: t('run.fact.commit'), value: <code>{run.commit}</code> },
        ]}
      />
      <h2>{t('run.fact.conf')}</h2>
      {hasConf(run) ? (
        <div className={classes.confTree}>
          <JsonTree value={run.conf} />
          <CopyButton text={JSON.stringify(run.conf, null, 2)} />
        </div>
      ) : (
        <p className="dim">{t('run.conf.empty')}</p>
      )}
    </div>
  );
}

/** Other views of the same run. */
function Views({ dagId, runId }: { dagId: string; runId: string }) {
  return (
    <span className={classes.views}>
      {(['grid', 'graph', 'gantt'] as const).map((view) => (
        <Link key={view} to={to.dag(dagId, view, { run: runId })}>
          {t(`run.${view}`)}
        </Link>
      ))}
    </span>
  );
}
