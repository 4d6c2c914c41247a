import { memo } from 'react';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { colourOf, isFinished, wordOf } from '@/states/states';
import { t } from '@/texts';
import classes from './RunBars.module.css';
import { formatDuration, formatMoment, millis } from './time';

/** What a bar shows of a run; RunBar and Run of the API fit. */
export type Bar = {
  run_id: string;
  state: string;
  run_after: string;
  started_at?: string | null;
  ended_at?: string | null;
};

const LOWEST = 5;

function secondsOf(run: Bar, now: number): number {
  const start = millis(run.started_at);
  return start === null ? 0 : Math.max(0, ((millis(run.ended_at) ?? now) - start) / 1000);
}

/**
 * The last runs as bars, oldest left: the height is the duration, the look the state (failed bars carry a notch,
 * running ones stripes, queued ones are hollow), each a link to its run.
 */
export const RunBars = memo(function RunBars({
  dagId,
  runs,
  places = 14,
  height = 26,
}: {
  dagId: string;
  runs: readonly Bar[];
  places?: number;
  height?: number;
}) {
  const shown = runs.slice(0, places).reverse();
  const now = Date.now();
  const seconds = shown.map((run) => secondsOf(run, now));
  const longest = Math.max(...seconds, 0.001);
  if (shown.length === 0) return <span className={classes.none}>{t('bars.none')}</span>;
  return (
    <ul className={classes.bars} style={{ height }} aria-label={t('bars.label', { dag: dagId, count: shown.length })}>
      {shown.map((run, at) => {
        const size =
          run.state === 'queued' ? LOWEST : LOWEST + (height - LOWEST) * Math.sqrt((seconds[at] ?? 0) / longest);
        const label = t('bars.run', {
          state: wordOf(run.state),
          duration: isFinished(run.state) ? formatDuration(seconds[at] ?? 0) : '…',
          when: formatMoment(millis(run.run_after) ?? 0, now, true),
        });
        return (
          <li key={run.run_id}>
            <Link
              to={to.run(dagId, run.run_id)}
              className={classes.bar}
              data-state={run.state}
              aria-label={label}
              title={`${run.run_id}\n${label}`}
            >
              <span style={{ height: Math.round(size), color: colourOf(run.state) }} />
            </Link>
          </li>
        );
      })}
    </ul>
  );
});
