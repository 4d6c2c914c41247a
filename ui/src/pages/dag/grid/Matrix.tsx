/**
 * Runs by tasks: labels and heads are elements, cells are painted (Tiles), and the cell that has the focus is an element
 * with its own words. Time runs from left to right as in all other charts here, so the newest run is on the right; the
 * view begins there, and older runs are loaded as one goes left.
 */
import { type KeyboardEvent, type MouseEvent, type Ref, type RefObject, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import { secondsOf } from '../duration';
import type { Board } from './board';
import { useFill } from '../useFill';
import { ColumnHead, RowHead } from './Heads';
import classes from './Matrix.module.css';
import { Tip, type Spot } from './Tip';
import { TILE, Tiles } from './Tiles';
import { CELL, paletteOf } from './paint';
import type { Row } from './rows';
import { cellLabel } from './labels';
import type { Painter } from './useGrid';
import { useScheme } from './useScheme';
import { type Span, useWindow } from './useWindow';

export const HEAD = 96;
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
/** Row -1 is the head, column -1 the labels. Columns are counted from the oldest on. */
type Position = { row: number; column: number };

export function Matrix({ dagId, board, tick, rows, painters, older, loadOlder, fold, touch }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const count = board.columns.length;
  const labels = typeof innerWidth === 'number' && innerWidth < 700 ? NARROW_LABELS : LABELS;
  const [active, setActive] = useState<{ row: number; runId: string | null }>({ row: 0, runId: board.columns[0]?.run.run_id ?? null });
  const [hover, setHover] = useState<Position | null>(null);
  const [focused, setFocused] = useState(false);
  const scheme = useScheme();
  const palette = useMemo(() => paletteOf(Math.min(3, Math.max(1, devicePixelRatio || 1))), [scheme]);
  const activeRow = Math.min(active.row, rows.length - 1);
  const found = board.columns.findIndex((column) => column.run.run_id === active.runId);
  const activeColumn = active.runId === null ? -1 : count - 1 - Math.max(0, found);

  useKeepRight(scroller, count, board.columns[0]?.run.run_id);
  const seen = useWindow(scroller, { rows: rows.length, columns: count, rowHeight: CELL.height, columnWidth: CELL.width, top: HEAD, left: labels, step: TILE });
  const fill = useFill(scroller);
  const atOldest = seen.columns.first === 0 && seen.columns.last >= 0;
  useEffect(() => {
    if (older && atOldest) loadOlder();
  }, [older, atOldest, count, loadOlder]);

  // --- moving the focus ---------------------------------------------------------------------------------------------
  const moves = useRef(false);
  const activeCell = useRef<HTMLElement>(null);
  const go = useCallback(
    (row: number, column: number) => {
      moves.current = true;
      const runId = column < 0 ? null : (board.columns[count - 1 - column]?.run.run_id ?? null);
      setActive({ row: Math.max(-1, Math.min(rows.length - 1, row)), runId });
      reveal(scroller.current, row, column, labels);
    },
    [board, count, rows.length, labels],
  );
  useLayoutEffect(() => {
    if (moves.current) activeCell.current?.focus({ preventScroll: true });
    moves.current = false;
  });

  const runIdAt = (column: number) => (column < 0 ? null : (board.columns[count - 1 - column]?.run.run_id ?? null));
  const addressOf = (row: number, column: number): string | null => {
    const runId = runIdAt(column);
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
    if (event.ctrlKey && (event.key === 'Home' || event.key === 'End')) {
      event.preventDefault();
      return go(event.key === 'Home' ? 0 : rows.length - 1, activeColumn);
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(((scroller.current?.clientHeight ?? 0) - HEAD) / CELL.height) - 1);
    const moved: Record<string, [number, number]> = {
      ArrowUp: [activeRow - 1, activeColumn],
      ArrowDown: [activeRow + 1, activeColumn],
      ArrowLeft: [activeRow, Math.max(-1, activeColumn - 1)],
      ArrowRight: [activeRow, Math.min(count - 1, activeColumn + 1)],
      PageUp: [Math.max(0, activeRow - page), activeColumn],
      PageDown: [activeRow + page, activeColumn],
      Home: [activeRow, -1],
      End: [activeRow, count - 1],
    };
    const next = moved[event.key];
    const row = activeRow < 0 ? null : (rows[activeRow] ?? null);
    if (next) go(...next);
    else if (event.key === 'Enter' || event.key === ' ') open(activeRow, activeColumn);
    else if ((event.key === 'c' || event.key === 'm') && touch) touch(event.key === 'c' ? 'clear' : 'mark', row, runIdAt(activeColumn));
    else return;
    event.preventDefault();
  };

  // --- pointing -----------------------------------------------------------------------------------------------------
  const positionOf = (event: MouseEvent): Position | null => {
    const box = scroller.current?.getBoundingClientRect();
    if (!box || !scroller.current) return null;
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    if (x >= scroller.current.clientWidth || y >= scroller.current.clientHeight) return null;
    const column = x < labels ? -1 : Math.floor((x + scroller.current.scrollLeft - labels) / CELL.width);
    const row = y < HEAD ? -1 : Math.floor((y + scroller.current.scrollTop - HEAD) / CELL.height);
    return column < count && row < rows.length && (row >= 0 || column >= 0) ? { row, column } : null;
  };
  const onMove = (event: MouseEvent) => {
    const next = positionOf(event);
    setHover((before) => (before && next && before.row === next.row && before.column === next.column ? before : next));
  };
  const onClick = (event: MouseEvent) => {
    const spot = positionOf(event);
    if (!spot || event.defaultPrevented || spot.column < 0) return;
    const address = addressOf(spot.row, spot.column);
    if (address && (event.metaKey || event.ctrlKey || event.button === 1)) window.open(address, '_blank', 'noopener');
    else open(spot.row, spot.column);
  };

  const longest = useMemo(() => Math.max(1, ...board.columns.map((column) => secondsOf(column.run, Date.now()))), [board, tick, count]);
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
          <Tiles board={board} rows={rows} palette={palette} painters={painters} count={count} columns={seen.columns} visibleRows={seen.rows} />
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
        {hover && hover.row >= 0 && <div className={classes.band} aria-hidden style={{ top: HEAD + hover.row * CELL.height, height: CELL.height }} />}
        {hover && hover.column >= 0 && (
          <div className={classes.crosshair} aria-hidden style={{ left: labels + hover.column * CELL.width, width: CELL.width, top: HEAD }} />
        )}
      </div>
      {spot && tipped && (
        <Tip dagId={dagId} board={board} column={tipped} row={spot.row < 0 ? null : (rows[spot.row] ?? null)} spot={spot} labels={labels} scroller={scroller.current} touches={touch !== undefined && focused} />
      )}
    </div>
  );
}

type ColumnsProps = { dagId: string; board: Board; tick: number; span: Span; labels: number; longest: number; active: number | null; activeCell: RefObject<HTMLElement | null> };

const Columns = memo(function Columns({ dagId, board, span, labels, longest, active, activeCell }: ColumnsProps) {
  const count = board.columns.length;
  const heads = [];
  const indexes = range(span, active);
  for (const index of indexes) {
    const column = board.columns[count - 1 - index];
    if (!column) continue;
    heads.push(
      <ColumnHead
        key={column.run.run_id}
        ref={index === active ? activeCell : undefined}
        dagId={dagId}
        run={column.run}
        before={board.columns[count - index]?.run}
        index={index}
        left={labels + index * CELL.width}
        longest={longest}
        active={index === active}
      />,
    );
  }
  return heads;
});

type RowsProps = {
  board: Board;
  tick: number;
  rows: readonly Row[];
  span: Span;
  labels: number;
  activeRow: number;
  activeColumn: number;
  activeCell: RefObject<HTMLElement | null>;
  keys: string;
  fold: (group: string) => void;
};

const Rows = memo(function Rows({ board, rows, span, labels, activeRow, activeColumn, activeCell, keys, fold }: RowsProps) {
  return range(span, activeRow).map((index) => {
    const row = rows[index];
    if (!row) return null;
    const isActive = index === activeRow;
    const column = isActive && activeColumn >= 0 ? board.columns[board.columns.length - 1 - activeColumn] : undefined;
    return (
      <div key={`${row.kind} ${row.id}`} role="row" aria-rowindex={index + 2} className={classes.row} style={{ top: HEAD + index * CELL.height, height: CELL.height }}>
        <RowHead ref={isActive && activeColumn < 0 ? activeCell : undefined} row={row} width={labels} active={isActive && activeColumn < 0} fold={fold} />
        {column && (
          <div
            ref={activeCell as Ref<HTMLDivElement>}
            role="gridcell"
            tabIndex={0}
            aria-colindex={activeColumn + 2}
            aria-label={cellLabel(board, column, row)}
            aria-keyshortcuts={keys}
            className={classes.active}
            style={{ left: labels + activeColumn * CELL.width, width: CELL.width }}
          />
        )}
      </div>
    );
  });
});

/** The indexes of a span, and the one that has the focus wherever it is: what has the focus must not go away. */
function range(span: Span, active: number | null): number[] {
  const indexes: number[] = [];
  for (let index = span.first; index <= span.last; index += 1) indexes.push(index);
  if (active !== null && active >= 0 && (active < span.first || active > span.last)) indexes.push(active);
  return indexes;
}

/** What is seen stays where it is when older runs come in on the left; who looks at the newest run goes on doing so. */
function useKeepRight(scroller: RefObject<HTMLDivElement | null>, count: number, newest: string | undefined): void {
  const before = useRef({ count: 0, newest });
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const grown = (count - before.current.count) * CELL.width;
    const atEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - grown - 2;
    if (before.current.count === 0 || (newest !== before.current.newest && atEnd)) box.scrollLeft = box.scrollWidth;
    else if (grown > 0 && newest === before.current.newest) box.scrollLeft += grown;
    before.current = { count, newest };
  }, [scroller, count, newest]);
}

function reveal(box: HTMLDivElement | null, row: number, column: number, labels: number): void {
  if (!box) return;
  const top = Math.max(0, row) * CELL.height;
  if (top < box.scrollTop) box.scrollTop = top;
  const bottom = HEAD + top + CELL.height - box.clientHeight;
  if (bottom > box.scrollTop) box.scrollTop = bottom;
  if (column < 0) return;
  const left = column * CELL.width;
  if (left < box.scrollLeft) box.scrollLeft = left;
  const right = labels + left + CELL.width - box.clientWidth;
  if (right > box.scrollLeft) box.scrollLeft = right;
}
