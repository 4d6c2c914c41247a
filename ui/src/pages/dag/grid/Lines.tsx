/** The elements of the grid: heads of columns, rows with their heads, and the one cell that has the focus. */
import { type Ref, type RefObject, memo } from 'react';
import { ColumnHead, RowHead } from './Heads';
import classes from './Matrix.module.css';
import type { Board } from './board';
import { cellLabel } from './labels';
import { CELL, HEAD } from './paint';
import type { Row } from './rows';
import type { Span } from './useWindow';

type ColumnsProps = {
  dagId: string;
  board: Board;
  tick: number;
  span: Span;
  labels: number;
  longest: number;
  active: number | null;
  activeCell: RefObject<HTMLElement | null>;
};

export const Columns = memo(function Columns({
  dagId,
  board,
  span,
  labels,
  longest,
  active,
  activeCell,
}: ColumnsProps) {
  const count = board.columns.length;
  const heads = [];
  for (const index of range(span, active)) {
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

export const Rows = memo(function Rows({
  board,
  rows,
  span,
  labels,
  activeRow,
  activeColumn,
  activeCell,
  keys,
  fold,
}: RowsProps) {
  return range(span, activeRow).map((index) => {
    const row = rows[index];
    if (!row) return null;
    const isActive = index === activeRow;
    const column = isActive && activeColumn >= 0 ? board.columns[board.columns.length - 1 - activeColumn] : undefined;
    return (
      <div
        key={`${row.kind} ${row.id}`}
        role="row"
        aria-rowindex={index + 2}
        className={classes.row}
        style={{ top: HEAD + index * CELL.height, height: CELL.height }}
      >
        <RowHead
          ref={isActive && activeColumn < 0 ? activeCell : undefined}
          row={row}
          width={labels}
          active={isActive && activeColumn < 0}
          fold={fold}
        />
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
