import type { Try } from '@/api/schema';
import { Time } from '@/components/Time';
import { t, textOf } from '@/texts';
import classes from './parts.module.css';

/** A cause in words. */
export const causeWord = (cause: string | null | undefined): string =>
  cause ? (textOf(`cause.${cause}`) ?? cause) : '';

const SIGNALS: Record<number, string> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
};
export const signalName = (signal: number): string =>
  SIGNALS[signal] ? `${SIGNALS[signal]} (${signal})` : String(signal);

/** Why a try did not succeed: in words, and as it said itself. */
export function Cause({ of, retryAt }: { of: Try; retryAt?: string | null }) {
  if (!of.cause && !of.detail) return null;
  const extra = [
    of.exit_code != null && of.exit_code !== 0 && t('task.cause.exit', { code: String(of.exit_code) }),
    of.signal != null && t('task.cause.signal', { signal: signalName(of.signal) }),
  ].filter(Boolean);
  return (
    <section className={`panel ${classes.cause}`} data-state={of.state}>
      <div>
        <span className={classes.causeWord}>
          {t('task.cause', { number: of.try_number, cause: causeWord(of.cause) })}
        </span>
        {extra.length > 0 && <span className="dim"> ({extra.join(', ')})</span>}
      </div>
      {of.detail && <div className={classes.causeText}>{of.detail}</div>}
      {retryAt && (
        <div className="dim">
          {t('task.fact.retryAt')} <Time at={retryAt} relative />
        </div>
      )}
    </section>
  );
}
