import type { ReactNode } from 'react';
import type { Home } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { STATE_ORDER, wordOf } from '@/states/states';
import { formatNumber, t } from '@/texts';
import classes from './HomePage.module.css';

type FigureProps = { count: number; label: string; to?: string; state?: string };

function Figure({ count, label, to: address, state }: FigureProps) {
  const inner = (
    <>
      <span className={classes.figure}>
        {state && <StateIcon state={state} size={15} title="" />}
        {formatNumber(count)}
      </span>
      <span className={classes.figureLabel}>{label}</span>
    </>
  );
  const quiet = count === 0 || undefined;
  return address ? (
    <Link to={address} className={classes.figureBox} data-quiet={quiet}>
      {inner}
    </Link>
  ) : (
    <span className={classes.figureBox} data-quiet={quiet}>
      {inner}
    </span>
  );
}

function Figures({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className={classes.figures} role="group" aria-label={title}>
      <div className={classes.figuresTitle}>{title}</div>
      <div className={classes.figuresRow}>{children}</div>
    </div>
  );
}

/** The numbers: runs, tasks of live runs, dags. Each leads to what it counts. */
export function Summary({ home }: { home: Home }) {
  const { runs, instances } = home;
  const live = STATE_ORDER.filter(
    (state) => !['none', 'success', 'skipped', 'removed'].includes(state) && instances[state as keyof typeof instances],
  );
  return (
    <div className={classes.summary}>
      <Figures title={t('home.runs')}>
        <Figure
          count={runs.running ?? 0}
          label={t('home.runs.running')}
          state="running"
          to={to.runs({ state: 'running' })}
        />
        <Figure
          count={runs.queued ?? 0}
          label={t('home.runs.queued')}
          state="queued"
          to={to.runs({ state: 'queued' })}
        />
        <Figure
          count={runs.failed ?? 0}
          label={t('home.runs.failed')}
          state="failed"
          to={to.runs({ state: 'failed' })}
        />
        <Figure
          count={runs.success ?? 0}
          label={t('home.runs.success')}
          state="success"
          to={to.runs({ state: 'success' })}
        />
      </Figures>
      <Figures title={t('home.tasks')}>
        {live.length === 0 && <span className={classes.figureNone}>{t('home.tasks.idle')}</span>}
        {live.map((state) => (
          <Figure
            key={state}
            count={instances[state as keyof typeof instances] ?? 0}
            label={wordOf(state)}
            state={state}
          />
        ))}
      </Figures>
      <Figures title={t('home.dags')}>
        <Figure count={home.dags - home.paused} label={t('home.dags.on')} to={`${to.dags()}?show=on`} />
        <Figure count={home.paused} label={t('home.dags.paused')} to={`${to.dags()}?show=paused`} />
        {home.import_errors > 0 && (
          <Figure
            count={home.import_errors}
            label={t('home.importErrors', { count: home.import_errors }).replace(/^\S+ /, '')}
            state="upstream_failed"
            to={to.importErrors()}
          />
        )}
      </Figures>
    </div>
  );
}
