import { STATE_ORDER, colourOf, wordOf } from '@/states/states';
import { formatNumber, t } from '@/texts';
import classes from './StateCounts.module.css';

const BAR_ORDER = [
  'success',
  'skipped',
  'removed',
  'running',
  'restarting',
  'up_for_retry',
  'up_for_reschedule',
  'deferred',
  'queued',
  'scheduled',
  'failed',
  'upstream_failed',
  'none',
];

/** How many task instances are in each state: one bar, and in numbers what is not done. Pointed at, it says all. */
export function StateCounts({ counts }: { counts: Record<string, number> | null | undefined }) {
  if (!counts) return null;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (total === 0) return <span className="dim">–</span>;
  const text = STATE_ORDER.filter((state) => counts[state])
    .map((state) => `${formatNumber(counts[state] ?? 0)} ${wordOf(state)}`)
    .join(', ');
  const done =
    (counts.success ?? 0) +
    (counts.skipped ?? 0) +
    (counts.failed ?? 0) +
    (counts.upstream_failed ?? 0) +
    (counts.removed ?? 0);
  return (
    <span className={classes.counts} title={text}>
      <span className={classes.bar} role="img" aria-label={t('runs.counts', { text })}>
        {BAR_ORDER.filter((state) => counts[state]).map((state) => (
          <span key={state} data-state={state} style={{ flexGrow: counts[state], background: colourOf(state) }} />
        ))}
      </span>
      <span className="number dim">
        {done === total ? formatNumber(total) : `${formatNumber(done)}/${formatNumber(total)}`}
      </span>
    </span>
  );
}
