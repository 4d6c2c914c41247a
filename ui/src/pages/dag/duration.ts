import { millis } from '@/components/time';

/** Seconds that a run took, or takes until now; 0 before its start. */
export function secondsOf(run: { started_at?: string | null; ended_at?: string | null }, now: number): number {
  const start = millis(run.started_at);
  return start === null ? 0 : Math.max(0, ((millis(run.ended_at) ?? now) - start) / 1000);
}
