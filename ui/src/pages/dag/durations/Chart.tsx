/** Bars for runs (waiting below, running above), lines for tasks, and where the mean and the median are. */
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import type { Durations } from '@/api/schema';
import { formatDuration, formatMoment, millis } from '@/components/time';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { colourOf, wordOf } from '@/states/states';
import { t } from '@/texts';
import { mean, median, tickLabel, timeTicks } from '../ticks';
import { DASHES, Legend, Tip, Values } from './Beside';
import classes from './Chart.module.css';

const HEIGHT = 380;
const MARGIN = { top: 16, right: 16, bottom: 44, left: 74 };

/** waiting: with the time from when a run was due to its start, below the time that it ran. */
type Props = { dagId: string; data: Durations; waiting: boolean; controls: ReactNode; empty: ReactNode };

export function Chart({ dagId, data, waiting, controls, empty }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(900);
  const [at, setAt] = useState<number | null>(null);
  useLayoutEffect(() => {
    if (!box.current) return;
    const watcher = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const { runs } = data;
  const tasks = Object.entries(data.tasks);
  const known = data.seconds.filter((value): value is number => value !== null);
  const lines = [
    { name: t('dag.durations.mean'), value: mean(known), className: classes.mean! },
    { name: t('dag.durations.median'), value: median(known), className: classes.median! },
  ];
  const waitedAt = (index: number) => (waiting && data.seconds[index] != null ? (data.queued[index] ?? 0) : 0);
  const totals = runs.map((_, index) => (data.seconds[index] ?? 0) + waitedAt(index));
  const most = Math.max(0.01, ...totals, ...tasks.flatMap(([, values]) => values.map((value) => value ?? 0)));
  const inner = {
    width: Math.max(50, width - MARGIN.left - MARGIN.right),
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const ticks = timeTicks(0, most, 6);
  const top = Math.max(most, ticks.at(-1) ?? most) * 1.04;
  const step = inner.width / Math.max(1, runs.length);
  const x = (index: number) => MARGIN.left + (index + 0.5) * step;
  const y = (value: number) => MARGIN.top + inner.height * (1 - value / top);
  const bar = Math.max(1, Math.min(26, step - Math.min(3, step * 0.25)));
  const labelEvery = Math.max(1, Math.ceil(92 / step));
  const indexAt = (clientX: number) => {
    const left = box.current?.getBoundingClientRect().left ?? 0;
    const index = Math.floor((clientX - left - MARGIN.left) / step);
    return index >= 0 && index < runs.length ? index : null;
  };
  const describe = (index: number) => {
    const run = runs[index]!;
    const ran = data.seconds[index];
    return t('dag.durations.point', {
      run: run.run_id,
      state: wordOf(run.state),
      ran: ran == null ? '–' : formatDuration(ran),
      waited: data.queued[index] == null ? '–' : formatDuration(data.queued[index]),
    });
  };
  return (
    <>
      <div className={classes.bar}>
        {controls}
        <Legend lines={lines} tasks={tasks} />
      </div>
      {runs.length === 0 ? (
        empty
      ) : (
        <div ref={box} className={classes.box}>
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            tabIndex={0}
            aria-label={at === null ? t('dag.durations.label', { count: runs.length }) : describe(at)}
            aria-live="polite"
            onPointerMove={(event) => setAt(indexAt(event.clientX))}
            onPointerLeave={() => setAt(null)}
            onBlur={() => setAt(null)}
            onClick={() => at !== null && navigate(to.run(dagId, runs[at]!.run_id))}
            onKeyDown={(event) => {
              if (event.key === 'ArrowLeft') setAt(Math.max(0, (at ?? runs.length) - 1));
              else if (event.key === 'ArrowRight') setAt(Math.min(runs.length - 1, (at ?? -1) + 1));
              else if (event.key === 'Enter' && at !== null) navigate(to.run(dagId, runs[at]!.run_id));
              else return;
              event.preventDefault();
            }}
          >
            {ticks.map((tick) => (
              <g key={tick} className={classes.tick}>
                <line x1={MARGIN.left} x2={width - MARGIN.right} y1={y(tick)} y2={y(tick)} />
                <text x={MARGIN.left - 8} y={y(tick) + 4} textAnchor="end">
                  {tickLabel(tick)}
                </text>
              </g>
            ))}
            {at !== null && (
              <rect
                x={x(at) - step / 2}
                width={step}
                y={MARGIN.top}
                height={inner.height}
                className={classes.pointed}
              />
            )}
            {runs.map((run, index) => {
              const ran = data.seconds[index];
              const waited = waitedAt(index);
              return (
                <g key={run.run_id}>
                  {waited > 0 && (
                    <rect
                      x={x(index) - bar / 2}
                      width={bar}
                      y={y(waited)}
                      height={Math.max(0, y(0) - y(waited))}
                      className={classes.waited}
                    />
                  )}
                  {ran != null && (
                    <rect
                      x={x(index) - bar / 2}
                      width={bar}
                      y={y(waited + ran)}
                      height={Math.max(1.5, y(waited) - y(waited + ran))}
                      rx={Math.min(2, bar / 3)}
                      fill={colourOf(run.state)}
                      fillOpacity={tasks.length > 0 ? 0.55 : 1}
                    />
                  )}
                  {run.state === 'failed' && ran != null && bar >= 4 && (
                    <path d={`M${x(index) - 4} ${y(waited + ran) - 9}l8 6m0 -6l-8 6`} className={classes.failed} />
                  )}
                  {index % labelEvery === 0 && (
                    <text
                      x={x(index)}
                      y={HEIGHT - 22}
                      className={classes.date}
                      textAnchor={index === 0 ? 'start' : 'middle'}
                    >
                      {formatMoment(millis(run.logical_date ?? run.run_after) ?? 0, Date.now(), true)}
                    </text>
                  )}
                </g>
              );
            })}
            {lines.map(
              (line) =>
                line.value !== null && (
                  <line
                    key={line.name}
                    x1={MARGIN.left}
                    x2={width - MARGIN.right}
                    y1={y(line.value)}
                    y2={y(line.value)}
                    className={line.className}
                  />
                ),
            )}
            {tasks.map(([id, values], series) => (
              <path
                key={id}
                d={pathOf(values, x, y)}
                className={classes.line}
                data-series={series}
                strokeDasharray={DASHES[series]}
              />
            ))}
          </svg>
          {at !== null && <Tip data={data} at={at} left={Math.min(x(at) + 12, width - 250)} />}
          <Values dagId={dagId} data={data} />
        </div>
      )}
    </>
  );
}

/** A line through the values that are there; a gap where one is missing. */
function pathOf(
  values: readonly (number | null)[],
  x: (index: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  values.forEach((value, index) => {
    if (value === null) return;
    const goesOn = index > 0 && values[index - 1] !== null;
    // A point without neighbours would be no line: a short one shows it.
    path += goesOn ? `L${x(index)} ${y(value)}` : `M${x(index) - 1.5} ${y(value)}L${x(index) + 1.5} ${y(value)}`;
  });
  return path;
}
