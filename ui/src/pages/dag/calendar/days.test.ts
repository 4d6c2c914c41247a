import { describe, expect, it } from 'vitest';
import { monthsOf, moved, weeksOf } from './days';

describe('a year as weeks', () => {
  it('has each of its days once, on its day of the week', () => {
    for (const year of [2023, 2024, 2026]) {
      const weeks = weeksOf(year);
      const days = weeks.flat().filter((day) => day !== null);
      expect(days.length).toBe(year === 2024 ? 366 : 365);
      expect([days[0], days.at(-1)]).toEqual([`${year}-01-01`, `${year}-12-31`]);
      for (const week of weeks) {
        expect(week.length).toBe(7);
        week.forEach((day, at) => day && expect((new Date(day).getUTCDay() + 6) % 7).toBe(at));
      }
    }
  });
  it('has twelve months', () => {
    const months = monthsOf(weeksOf(2026));
    expect(months.map(([, month]) => month)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(months[0]![0]).toBe(0);
  });
  it('is moved in, and not left', () => {
    expect(moved('2026-02-27', 7)).toBe('2026-03-06');
    expect(moved('2026-12-31', 1)).toBe('2026-12-31');
    expect(moved('2026-01-03', -7)).toBe('2026-01-03');
  });
});
