/** Where an axis has its marks. Pure. */

import { formatDuration } from '@/components/time';

const SECONDS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600,
  7_200, 14_400, 21_600, 43_200, 86_400,
];

/** Round lengths of time from `from` to `until` (seconds), about `count` of them. */
export function timeTicks(from: number, until: number, count: number): number[] {
  const rough = (until - from) / Math.max(1, count);
  if (!(rough > 0)) return [from];
  let step = SECONDS.find((each) => each >= rough);
  if (step === undefined) {
    const days = rough / 86_400;
    const size = 10 ** Math.floor(Math.log10(days));
    step = 86_400 * size * ([1, 2, 5, 10].find((each) => each * size >= days) ?? 10);
  }
  const ticks: number[] = [];
  const first = Math.ceil(from / step - 1e-9);
  for (let at = first; at * step <= until + step * 1e-9; at += 1) ticks.push(Number((at * step).toFixed(6)));
  return ticks;
}

/** A length of time beside a mark, as short as it can be: `0`, `30 min`, `1 h 30 min`. */
export const tickLabel = (seconds: number): string =>
  seconds === 0
    ? '0'
    : formatDuration(seconds)
        .replace(/ 00 (s|min)$/, '')
        .replace(/\.0 s$/, ' s')
        .replace(/ d 0 h$/, ' d');

export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
