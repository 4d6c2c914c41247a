/** A year of days: how many runs, in which states, and what the schedule will make. */
import { ActionIcon } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { keyOf, query } from '@/api/queries';
import type { CalendarDay } from '@/api/schema';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { StateIcon } from '@/components/StateIcon';
import { centre } from '@/components/centre';
import { useLiveQueries } from '@/live/live';
import { to } from '@/routing/paths';
import { navigate, useUrlState } from '@/routing/router';
import { type RunState, colourOf, wordOf } from '@/states/states';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import classes from './Calendar.module.css';
import { dayText, monthsOf, moved, weeksOf } from './days';

/** The one that is shown as a shape comes first. */
const ORDER: readonly RunState[] = ['failed', 'running', 'queued', 'success'];
const monthName = (month: number) =>
  new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' }).format(Date.UTC(2026, month, 1));
const dayName = (day: number) =>
  new Intl.DateTimeFormat('en', { weekday: 'short', timeZone: 'UTC' }).format(Date.UTC(2026, 5, 1 + day));

export default function CalendarTab({ dagId }: TabProps) {
  const [url, setUrl] = useUrlState();
  const today = dayText(Date.now());
  const thisYear = Number(today.slice(0, 4));
  const year = Number(url.get('year')) || thisYear;
  const path = { dag_id: dagId };
  const calendar = useQuery(
    query('/dags/{dag_id}/calendar', { path, query: { from: `${year}-01-01`, to: `${year}-12-31` } }),
  );
  useLiveQueries({ dagId, kinds: ['runs', 'dags'] }, [keyOf('/dags/{dag_id}/calendar', { path })], 2_000);
  const days = useMemo(() => new Map(calendar.data?.days.map((day) => [day.day, day])), [calendar.data]);
  const go = (next: number) => setUrl({ year: next === thisYear ? null : String(next) });
  if (!calendar.data) return <Pending error={calendar.error} retry={() => void calendar.refetch()} />;
  return (
    <div className={classes.calendar}>
      <div className={classes.year}>
        <ActionIcon variant="default" aria-label={t('dag.calendar.before')} onClick={() => go(year - 1)}>
          <IconChevronLeft size={15} aria-hidden />
        </ActionIcon>
        <h2>{year}</h2>
        <ActionIcon variant="default" aria-label={t('dag.calendar.after')} onClick={() => go(year + 1)}>
          <IconChevronRight size={15} aria-hidden />
        </ActionIcon>
        <Totals days={calendar.data.days} />
      </div>
      <Year key={year} dagId={dagId} year={year} today={today} days={days} />
      <p className={classes.hint}>{t('dag.calendar.hint')}</p>
    </div>
  );
}

function Totals({ days }: { days: readonly CalendarDay[] }) {
  const planned = days.reduce((sum, day) => sum + (day.planned ?? 0), 0);
  return (
    <div className={classes.totals}>
      {ORDER.map((state) => {
        const count = days.reduce((sum, day) => sum + (day.counts[state] ?? 0), 0);
        return count > 0 && <StateBadge key={state} state={state} count={count} />;
      })}
      {planned > 0 && <span className={classes.plannedWord}>{t('dag.calendar.planned', { count: planned })}</span>}
    </div>
  );
}

type YearProps = { dagId: string; year: number; today: string; days: ReadonlyMap<string, CalendarDay> };

function Year({ dagId, year, today, days }: YearProps) {
  const weeks = useMemo(() => weeksOf(year), [year]);
  const months = useMemo(() => monthsOf(weeks), [weeks]);
  const [active, setActive] = useState(today.startsWith(`${year}-`) ? today : `${year}-01-01`);
  const grid = useRef<HTMLTableElement>(null);
  // Where there is no room for a year, today comes first.
  useEffect(() => centre(grid.current?.parentElement, `[data-day="${today}"]`), [today]);
  const most = Math.max(1, ...[...days.values()].map((day) => total(day)));
  const open = (day: string) => navigate(to.dag(dagId, 'runs', { day }));
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowUp: -1,
      ArrowDown: 1,
      ArrowLeft: -7,
      ArrowRight: 7,
      PageUp: -28,
      PageDown: 28,
      Home: -366,
      End: 366,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = event.key === 'Home' ? `${year}-01-01` : event.key === 'End' ? `${year}-12-31` : moved(active, step);
    setActive(next);
    grid.current?.querySelector<HTMLElement>(`[data-day="${next}"]`)?.focus();
  };
  return (
    <div className={classes.scroller}>
      <table
        ref={grid}
        role="grid"
        aria-label={t('dag.calendar.label', { year })}
        className={classes.grid}
        onKeyDown={onKeyDown}
      >
        <thead>
          <tr>
            <td />
            {months.map(([week, month], at) => (
              <th key={month} scope="colgroup" colSpan={(months[at + 1]?.[0] ?? weeks.length) - (at === 0 ? 0 : week)}>
                {monthName(month)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: 7 }, (_, row) => (
            <tr key={row}>
              <th scope="row">
                {row % 2 === 0 ? dayName(row) : <span className={classes.quiet}>{dayName(row)}</span>}
              </th>
              {weeks.map((week, at) => {
                const day = week[row];
                if (!day) return <td key={at} />;
                return (
                  <td key={at}>
                    <Day
                      day={day}
                      found={days.get(day)}
                      most={most}
                      today={day === today}
                      active={day === active}
                      onOpen={open}
                    />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const total = (day: CalendarDay): number => Object.values(day.counts).reduce((sum, count) => sum + (count ?? 0), 0);

type DayProps = {
  day: string;
  found: CalendarDay | undefined;
  most: number;
  today: boolean;
  active: boolean;
  onOpen: (day: string) => void;
};

function Day({ day, found, most, today, active, onOpen }: DayProps) {
  const count = found ? total(found) : 0;
  const planned = found?.planned ?? 0;
  const states = found ? ORDER.filter((state) => (found.counts[state] ?? 0) > 0) : [];
  const parts = [
    ...states.map((state) => `${found!.counts[state]} ${wordOf(state)}`),
    ...(planned > 0 ? [t('dag.calendar.planned', { count: planned })] : []),
  ];
  const words = `${day}: ${parts.length > 0 ? parts.join(', ') : t('dag.calendar.none')}`;
  // From the bottom up as much of the day as each state has; the more runs, the fuller the colour.
  let reached = 0;
  const stops = states.flatMap((state) => {
    const begin = (reached / count) * 100;
    reached += found!.counts[state] ?? 0;
    return [`${colourOf(state)} ${begin}%`, `${colourOf(state)} ${(reached / count) * 100}%`];
  });
  const strength = 0.45 + 0.55 * Math.sqrt(count / most);
  return (
    <button
      type="button"
      className={classes.day}
      data-day={day}
      data-today={today || undefined}
      data-planned={(planned > 0 && count === 0) || undefined}
      tabIndex={active ? 0 : -1}
      aria-label={words}
      title={words}
      onClick={() => onOpen(day)}
    >
      {count > 0 && (
        <span
          className={classes.fill}
          style={{
            background: `linear-gradient(to top, ${stops.join(', ')})`,
            opacity: states[0] === 'success' ? strength : 1,
          }}
        />
      )}
      {states[0] && states[0] !== 'success' && (
        <span className={classes.shape}>
          <StateIcon state={states[0]} size={11} title="" />
        </span>
      )}
    </button>
  );
}
