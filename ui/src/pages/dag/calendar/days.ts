/** A year as weeks of days. Pure. Days are UTC, as the API counts them: "2026-03-01". */

export const DAY = 86_400_000;

export const dayText = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The weeks that a year touches, from Monday to Sunday; null: a day of another year. */
export function weeksOf(year: number): (string | null)[][] {
  const first = Date.UTC(year, 0, 1);
  const last = Date.UTC(year, 11, 31);
  // Sunday is 0; a week begins with Monday.
  const before = (new Date(first).getUTCDay() + 6) % 7;
  const weeks: (string | null)[][] = [];
  for (let monday = first - before * DAY; monday <= last; monday += 7 * DAY) {
    weeks.push(
      Array.from({ length: 7 }, (_, at) => {
        const ms = monday + at * DAY;
        return ms < first || ms > last ? null : dayText(ms);
      }),
    );
  }
  return weeks;
}

/** The day `days` later, within the same year. */
export function moved(day: string, days: number): string {
  const next = dayText(Date.parse(day) + days * DAY);
  return next.slice(0, 4) === day.slice(0, 4) ? next : day;
}

/** Where each month begins: [week, month], the month from 0 on. */
export function monthsOf(weeks: readonly (readonly (string | null)[])[]): [number, number][] {
  const months: [number, number][] = [];
  weeks.forEach((week, at) => {
    const first = week.find((day) => day !== null && day.endsWith('-01'));
    if (first) months.push([at, Number(first.slice(5, 7)) - 1]);
  });
  return months;
}
