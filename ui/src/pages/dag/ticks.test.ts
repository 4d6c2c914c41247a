import { describe, expect, it } from 'vitest';
import { mean, median, timeTicks } from './ticks';

describe('the marks of an axis', () => {
  it('are round lengths of time', () => {
    expect(timeTicks(0, 100, 5)).toEqual([0, 30, 60, 90]);
    expect(timeTicks(0, 0.01, 5)).toEqual([0, 0.002, 0.004, 0.006, 0.008, 0.01]);
    expect(timeTicks(3_500, 12_000, 4)).toEqual([3_600, 7_200, 10_800]);
  });
  it('go on beyond days', () => {
    expect(timeTicks(0, 86_400 * 30, 3)).toEqual([0, 864_000, 1_728_000, 2_592_000]);
  });
  it('are few for no length at all', () => {
    expect(timeTicks(5, 5, 4)).toEqual([5]);
  });
});

describe('the middle of values', () => {
  it('is the mean, and the median', () => {
    expect([mean([1, 2, 6]), median([6, 1, 2]), median([1, 2, 4, 9])]).toEqual([3, 2, 3]);
    expect([mean([]), median([])]).toEqual([null, null]);
  });
});
