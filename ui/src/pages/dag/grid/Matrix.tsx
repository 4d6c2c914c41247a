/**
 * Runs by tasks: labels and heads are elements, cells are painted (Tiles), and the cell that has the focus is an element
 * with its own words. Time runs from left to right as in all other charts here, so the newest run is on the right; the
 * view begins there, and older runs are loaded as one goes left.
 */
import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef, useState } from 'react';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import { secondsOf } from '../duration';
import type { Board } from './board';
import { useFill } from '../useFill';
import { Columns, Rows } from './Lines';
import classes from './Matrix.module.css';
import { Tip, type Spot } from './Tip';
import { TILE, Tiles } from './Tiles';
import { type Position, moveOf, pointedAt, runIdAt, useActive, useKeepRight } from './moving';
import { CELL, HEAD, paletteOf } from './paint';
import type { Row } from './rows';
import type { Painter } from './useGrid';
import { useScheme } from './useScheme';
import { useWindow } from './useWindow';

const LABELS = 250;
const NARROW_LABELS = 150;

type Props = {
  dagId: string;
  board: Board;
  tick: number;
  rows: readonly Row[];
  painters: Set<Painter>;
  older: boolean;
  loadOlder: () => void;
  fold: (group: string) => void;
  /** Clear or mark, of what a cell stands for; row or run null: all of them. */
  touch?: (kind: 'clear' | 'mark', row: Row | null, runId: string | null) => void;
};

export function Matrix({ dagId, board, tick, rows, painters, older, loadOlder, fold, touch }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const count = board.columns.length;
  const labels = typeof innerWidth === 'number' && innerWidth < 700 ? NARROW_LABELS : LABELS;
  const [hover, setHover] = useState<Position | null>(null);
  const [focused, setFocused] = useState(false);
  const scheme = useScheme();
  const palette = useMemo(() => paletteOf(Math.min(3, Math.max(1, devicePixelRatio || 1))), [scheme]);
  const {
    row: activeRow,
    column: activeColumn,
    cell: activeCell,
    go,
  } = useActive(board, rows.length, scroller, labels);

  useKeepRight(scroller, count, board.columns[0]?.run.run_id);
  const seen = useWindow(scroller, {
    rows: rows.length,
    columns: count,
    rowHeight: CELL.height,
    columnWidth: CELL.width,
    top: HEAD,
    left: labels,
    step: TILE,
  });
  const fill = useFill(scroller);
  const atOldest = seen.columns.first === 0 && seen.columns.last >= 0;
  useEffect(() => {
    if (older && atOldest) loadOlder();
  }, [older, atOldest, count, loadOlder]);

  const size = { rows: rows.length, columns: count };
  const addressOf = (row: number, column: number): string | null => {
    const runId = runIdAt(board, column);
    const task = rows[row];
    if (runId === null) return null;
    if (row < 0 || !task) return to.run(dagId, runId);
    return task.kind === 'task' ? to.task(dagId, runId, task.id) : null;
  };
  const open = (row: number, column: number) => {
    const address = addressOf(row, column);
    if (address) navigate(address);
    else if (rows[row]?.kind === 'group') fold(rows[row].id);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(((scroller.current?.clientHeight ?? 0) - HEAD) / CELL.height) - 1);
    const next =
      event.metaKey || event.altKey ? null : moveOf(event, { row: activeRow, column: activeColumn }, { ...size, page });
    if (next) go(next);
    else if (event.metaKey || event.altKey || event.ctrlKey) return;
    else if (event.key === 'Enter' || event.key === ' ') {
      // A button does it by itself.
      if (event.target instanceof HTMLButtonElement) return;
      open(activeRow, activeColumn);
    } else if (event.key === 'Escape') setFocused(false);
    else if ((event.key === 'c' || event.key === 'm') && touch)
      touch(event.key === 'c' ? 'clear' : 'mark', rows[activeRow] ?? null, runIdAt(board, activeColumn));
    else return;
    event.preventDefault();
  };
  const onMove = (event: MouseEvent) => {
    const next = pointedAt(event, scroller.current, labels, size);
    setHover((before) => (before && next && before.row === next.row && before.column === next.column ? before : next));
  };
  const onClick = (event: MouseEvent) => {
    const spot = pointedAt(event, scroller.current, labels, size);
    if (!spot || event.defaultPrevented || spot.column < 0) return;
    const address = addressOf(spot.row, spot.column);
    if (address && (event.metaKey || event.ctrlKey || event.button === 1)) window.open(address, '_blank', 'noopener');
    else open(spot.row, spot.column);
  };

  const longest = useMemo(
    () => Math.max(1, ...board.columns.map((column) => secondsOf(column.run, Date.now()))),
    [board, tick, count],
  );
  const spot: Spot | null = hover ?? (focused ? { row: activeRow, column: activeColumn } : null);
  const tipped = spot && spot.column >= 0 ? board.columns[count - 1 - spot.column] : undefined;

  return (
    <div
      ref={scroller}
      className={classes.scroller}
      style={fill}
      onMouseMove={onMove}
      onMouseLeave={() => setHover(null)}
      onScroll={() => setHover(null)}
      onClick={onClick}
      onAuxClick={(event) => event.button === 1 && onClick(event)}
    >
      <div
        role="grid"
        aria-label={t('dag.grid.label', { dag: dagId })}
        aria-rowcount={rows.length + 1}
        aria-colcount={count + 1}
        className={classes.matrix}
        style={{ width: labels + count * CELL.width, height: HEAD + rows.length * CELL.height }}
        onKeyDown={onKeyDown}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
      >
        <div role="row" aria-rowindex={1} className={classes.head} style={{ height: HEAD }}>
          <div role="columnheader" aria-colindex={1} className={classes.corner} style={{ width: labels }}>
            {t('dag.grid.tasks')}
          </div>
          <Columns
            dagId={dagId}
            board={board}
            tick={tick}
            span={seen.columns}
            labels={labels}
            longest={longest}
            active={activeRow === -1 ? activeColumn : null}
            activeCell={activeCell}
          />
        </div>
        <div className={classes.cells} style={{ left: labels, top: HEAD }} aria-hidden>
          <Tiles
            board={board}
            rows={rows}
            palette={palette}
            painters={painters}
            count={count}
            columns={seen.columns}
            visibleRows={seen.rows}
          />
        </div>
        <Rows
          board={board}
          tick={tick}
          rows={rows}
          span={seen.rows}
          labels={labels}
          activeRow={activeRow}
          activeColumn={activeColumn}
          activeCell={activeCell}
          keys={touch ? 'Enter c m' : 'Enter'}
          fold={fold}
        />
        {hover && hover.row >= 0 && (
          <div
            className={classes.band}
            aria-hidden
            style={{ top: HEAD + hover.row * CELL.height, height: CELL.height }}
          />
        )}
        {hover && hover.column >= 0 && (
          <div
            className={classes.crosshair}
            aria-hidden
            style={{ left: labels + hover.column * CELL.width, width: CELL.width, top: HEAD }}
          />
        )}
      </div>
      {spot && tipped && (
        <Tip
          dagId={dagId}
          board={board}
          column={tipped}
          row={spot.row < 0 ? null : (rows[spot.row] ?? null)}
          spot={spot}
          labels={labels}
          scroller={scroller.current}
          touches={touch !== undefined && focused}
        />
      )}
    </div>
  );
}
