import { t } from '@/texts';
import { formatMoment, formatRelative, formatUtc, millis, useNow } from './time';

type Props = { at: string | number | null | undefined; relative?: boolean; short?: boolean; none?: string };

/** A moment in the zone of who looks (relative: `3 min ago`); pointed at, it says the day and UTC too. */
export function Time({ at, relative = false, short = false, none = '–' }: Props) {
  const ms = millis(at);
  const now = useNow(relative && ms !== null);
  if (ms === null) return <span className="dim">{none}</span>;
  const title = `${formatMoment(ms, 0)}\n${t('shared.utc', { time: formatUtc(ms) })}`;
  return (
    <time dateTime={new Date(ms).toISOString()} title={title} className="number">
      {relative ? formatRelative(ms, now) : formatMoment(ms, now, short)}
    </time>
  );
}

/** A moment to come; when it is past, that it was due: what it is for is held up by something. */
export function Upcoming({ at }: { at: string | null | undefined }) {
  const ms = millis(at);
  const now = useNow(ms !== null);
  if (ms === null) return <span className="dim">–</span>;
  const text = formatRelative(ms, now);
  return (
    <time dateTime={new Date(ms).toISOString()} title={t('shared.utc', { time: formatUtc(ms) })} className="number">
      {ms < now - 1500 ? t('shared.overdue', { time: text }) : text}
    </time>
  );
}
