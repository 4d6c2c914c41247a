/** What is beside the chart: the words of its lines, of the run that is pointed at, and all values as a table. */
import type { Durations } from '@/api/schema';
import { StateBadge } from '@/components/StateBadge';
import { formatDuration } from '@/components/time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Chart.module.css';

/** Lines differ in colour and in dashes. */
export const DASHES = ['', '7 4', '2 3', '10 3 2 3', '14 5', '5 2 1 2 1 2'];
const lengthOf = (seconds: number | null | undefined): string => (seconds == null ? '–' : formatDuration(seconds));

type Line = { name: string; value: number | null; className: string };

export function Legend({ lines, tasks }: { lines: readonly Line[]; tasks: readonly [string, unknown][] }) {
  return (
    <ul className={classes.legend}>
      {lines.map(
        (line) =>
          line.value !== null && (
            <li key={line.name}>
              <svg width="26" height="8" aria-hidden>
                <line x1="0" x2="26" y1="4" y2="4" className={line.className} />
              </svg>
              {line.name} {formatDuration(line.value)}
            </li>
          ),
      )}
      {tasks.map(([id], index) => (
        <li key={id}>
          <svg width="26" height="8" aria-hidden>
            <line
              x1="0"
              x2="26"
              y1="4"
              y2="4"
              className={classes.line}
              data-series={index}
              strokeDasharray={DASHES[index]}
            />
          </svg>
          {id}
        </li>
      ))}
    </ul>
  );
}

export function Tip({ data, at, left }: { data: Durations; at: number; left: number }) {
  const run = data.runs[at]!;
  return (
    <div className={classes.tip} style={{ left }}>
      <strong className="cut">{run.run_id}</strong>
      <StateBadge state={run.state} />
      <dl>
        <dt>{t('dag.durations.ran')}</dt>
        <dd>{lengthOf(data.seconds[at])}</dd>
        <dt>{t('dag.durations.waited')}</dt>
        <dd>{lengthOf(data.queued[at])}</dd>
        {Object.entries(data.tasks).map(([id, values]) => (
          <TaskLine key={id} id={id} value={values[at]} />
        ))}
      </dl>
    </div>
  );
}

function TaskLine({ id, value }: { id: string; value: number | null | undefined }) {
  return (
    <>
      <dt className="cut">{id}</dt>
      <dd>{lengthOf(value)}</dd>
    </>
  );
}

/** All of it for who cannot see the chart, or wants the numbers. */
export function Values({ dagId, data }: { dagId: string; data: Durations }) {
  const tasks = Object.entries(data.tasks);
  return (
    <details className={classes.table}>
      <summary>{t('dag.durations.table')}</summary>
      <table>
        <thead>
          <tr>
            <th>{t('dag.run')}</th>
            <th>{t('dag.runs.state')}</th>
            <th>{t('dag.durations.waited')}</th>
            <th>{t('dag.durations.ran')}</th>
            {tasks.map(([id]) => (
              <th key={id}>{id}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.runs.map((run, index) => (
            <tr key={run.run_id}>
              <td>
                <Link to={to.run(dagId, run.run_id)}>{run.run_id}</Link>
              </td>
              <td>
                <StateBadge state={run.state} bare />
              </td>
              <td>{lengthOf(data.queued[index])}</td>
              <td>{lengthOf(data.seconds[index])}</td>
              {tasks.map(([id, values]) => (
                <td key={id}>{lengthOf(values[index])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
