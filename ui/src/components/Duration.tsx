import { formatDuration, millis, useNow } from './time';

type Moment = string | number | null | undefined;

/** How long it took, or takes: it counts on while there is no end and `running`. */
export function Duration({ from, until, running }: { from: Moment; until?: Moment; running?: boolean }) {
  const start = millis(from);
  const end = millis(until);
  const ticks = start !== null && end === null && running !== false;
  const now = useNow(ticks);
  if (start === null || (end === null && !ticks)) return <span className="dim">–</span>;
  const seconds = ((end ?? now) - start) / 1000;
  return <span className="number">{formatDuration(end === null ? Math.max(0, Math.floor(seconds)) : seconds)}</span>;
}
