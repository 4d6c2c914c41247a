import { describe, expect, it } from 'vitest';
import { formatDuration, formatMoment, formatRelative, millis } from './time';

describe('lengths of time', () => {
  it.each([
    [0.0042, '4 ms'],
    [1.26, '1.3 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [185, '3 min 05 s'],
    [3600, '1 h 00 min'],
    [100_000, '1 d 3 h'],
    [-1, '0 ms'],
  ])('%d s is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('moments', () => {
  it('come as RFC 3339 or as epoch seconds', () => {
    expect(millis('1970-01-01T00:00:01Z')).toBe(1000);
    expect(millis(1.5)).toBe(1500);
    expect(millis(null)).toBeNull();
    expect(millis('never')).toBeNull();
  });

  it('are told from now', () => {
    expect(formatRelative(0, 500)).toBe('now');
    expect(formatRelative(0, 180_000)).toBe('3 min ago');
    expect(formatRelative(7_200_000, 0)).toBe('in 2 h');
  });

  it('of other days say their day', () => {
    const at = new Date(2026, 2, 1, 14, 5, 9).getTime();
    expect(formatMoment(at, at)).toBe('14:05:09');
    expect(formatMoment(at, at + 86_400_000)).toBe('2026-03-01 14:05:09');
    expect(formatMoment(at, at + 86_400_000, true)).toBe('03-01 14:05');
    expect(formatMoment(at, at + 400 * 86_400_000, true)).toBe('2026-03-01 14:05');
  });
});
