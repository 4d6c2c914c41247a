/** Times and lengths of time as people read them. */
import { useSyncExternalStore } from 'react';
import { t } from '@/texts';

/** A moment of the API (RFC 3339) or of a live change (epoch seconds), in milliseconds; null for none. */
export function millis(moment: string | number | null | undefined): number | null {
  if (moment === null || moment === undefined) return null;
  const value = typeof moment === 'number' ? moment * 1000 : Date.parse(moment);
  return Number.isFinite(value) ? value : null;
}

const clock = {
  listeners: new Set<() => void>(),
  timer: undefined as ReturnType<typeof setInterval> | undefined,
  now: Date.now(),
};

function onTick(listener: () => void): () => void {
  clock.listeners.add(listener);
  if (clock.timer === undefined) clock.now = Date.now();
  clock.timer ??= setInterval(() => {
    clock.now = Date.now();
    for (const each of [...clock.listeners]) each();
  }, 1000);
  return () => {
    clock.listeners.delete(listener);
    if (clock.listeners.size === 0) {
      clearInterval(clock.timer);
      clock.timer = undefined;
    }
  };
}

const idle = () => () => {};

/** The time now in milliseconds, told again each second while `ticking`. */
export function useNow(ticking = true): number {
  return useSyncExternalStore(ticking ? onTick : idle, () =>
    ticking && clock.timer ? clock.now : Math.floor(Date.now() / 1000) * 1000,
  );
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h` */
export function formatDuration(seconds: number): string {
  if (seconds < 0) seconds = 0;
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** One unit: `12 s`, `3 min`, `2 h`, `5 d`. */
function formatRough(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 59.5) return `${Math.round(size)} s`;
  if (size < 59.5 * 60) return `${Math.round(size / 60)} min`;
  if (size < 36 * 3600) return `${Math.round(size / 3600)} h`;
  return `${Math.round(size / 86_400)} d`;
}

/** `3 min ago`, `in 2 h`, `now` */
export function formatRelative(ms: number, now: number): string {
  const seconds = (ms - now) / 1000;
  if (Math.abs(seconds) < 1.5) return t('shared.now');
  return seconds < 0 ? t('shared.ago', { time: formatRough(seconds) }) : t('shared.in', { time: formatRough(seconds) });
}

const pad = (value: number) => String(value).padStart(2, '0');
const dayOf = (at: Date) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;

/** `14:05:09` today, `2026-03-01 14:05:09` on other days, in the zone of who looks. short: without seconds, `03-01 14:05`. */
export function formatMoment(ms: number, now: number, short = false): string {
  const at = new Date(ms);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}${short ? '' : `:${pad(at.getSeconds())}`}`;
  const day = dayOf(at);
  if (day === dayOf(new Date(now))) return time;
  // Half a year around now the year goes without saying, where space is short.
  return short && Math.abs(ms - now) < 180 * 86_400_000 ? `${day.slice(5)} ${time}` : `${day} ${time}`;
}

/** `2026-03-01 14:05:09` in UTC. */
export const formatUtc = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
