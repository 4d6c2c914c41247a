/** The heads of the grid's columns (runs) and rows (tasks and groups). */
import { IconChevronDown, IconChevronRight, IconStack2 } from '@tabler/icons-react';
import { type Ref, memo } from 'react';
import type { GridRun } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { millis } from '@/components/time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { colourOf } from '@/states/states';
import { t } from '@/texts';
import { secondsOf } from '../duration';
import classes from './Matrix.module.css';
import { columnLabel } from './labels';
import type { Row } from './rows';

const HIGHEST = 46;
const LOWEST = 4;
/** Every how many columns a date is written. */
const DATE_EVERY = 5;

type ColumnProps = {
  run: GridRun;
  /** The run before it. */
  before: GridRun | undefined;
  index: number;
  left: number;
  longest: number;
  dagId: string;
  active: boolean;
  ref?: Ref<HTMLElement>;
};

export const ColumnHead = memo(function ColumnHead({
  dagId,
  run,
  before,
  index,
  left,
  longest,
  active,
  ref,
}: ColumnProps) {
  const share = Math.sqrt(secondsOf(run, Date.now()) / longest);
  const height = run.started_at == null ? LOWEST : Math.round(LOWEST + share * (HIGHEST - LOWEST));
  const changed = before !== undefined && before.version !== run.version;
  return (
    <div
      role="columnheader"
      aria-colindex={index + 2}
      className={classes.column}
      data-version={changed || undefined}
      style={{ left }}
    >
      {index % DATE_EVERY === 0 && (
        <span className={classes.date} aria-hidden>
          {dateOf(run)}
        </span>
      )}
      <Link
        ref={ref as Ref<HTMLAnchorElement>}
        to={to.run(dagId, run.run_id)}
        tabIndex={active ? 0 : -1}
        aria-label={columnLabel(run)}
        className={classes.bar}
        data-state={run.state}
      >
        <span style={{ height, color: colourOf(run.state) }} />
      </Link>
      <StateIcon state={run.state} size={13} title="" />
    </div>
  );
});

const pad = (value: number) => String(value).padStart(2, '0');

function dateOf(run: GridRun): string {
  const at = new Date(millis(run.logical_date ?? run.run_after) ?? 0);
  const sameDay = at.toDateString() === new Date().toDateString();
  return sameDay
    ? `${pad(at.getHours())}:${pad(at.getMinutes())}`
    : `${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

type RowProps = { row: Row; width: number; active: boolean; fold: (group: string) => void; ref?: Ref<HTMLElement> };

export const RowHead = memo(function RowHead({ row, width, active, fold, ref }: RowProps) {
  const inset = { width, paddingLeft: 10 + row.depth * 14 };
  if (row.kind === 'task') {
    return (
      <div
        role="rowheader"
        aria-colindex={1}
        ref={ref as Ref<HTMLDivElement>}
        tabIndex={active ? 0 : -1}
        className={classes.label}
        style={inset}
        title={row.id}
      >
        <span className="cut">{row.label}</span>
        {row.mapped && <IconStack2 size={13} aria-label={t('dag.grid.mapped')} className={classes.mapped} />}
      </div>
    );
  }
  return (
    <div role="rowheader" aria-colindex={1} className={classes.label} data-group style={inset} title={row.id}>
      <button
        type="button"
        ref={ref as Ref<HTMLButtonElement>}
        tabIndex={active ? 0 : -1}
        aria-expanded={!row.collapsed}
        onClick={(event) => {
          event.preventDefault();
          fold(row.id);
        }}
      >
        {row.collapsed ? <IconChevronRight size={13} aria-hidden /> : <IconChevronDown size={13} aria-hidden />}
        <span className="cut">{row.label}</span>
        <span className={classes.size}>{row.tasks.length}</span>
      </button>
    </div>
  );
});
