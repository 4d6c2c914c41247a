/** Where the focus is in the grid, where keys move it, and which cell is pointed at. */
import {
  type KeyboardEvent,
  type MouseEvent,
  type RefObject,
  useCallback,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import type { Board } from './board';
import { CELL, HEAD } from './paint';

/** Row -1 is the head, column -1 the labels. Columns are counted from the oldest on. */
export type Position = { row: number; column: number };
type Box = RefObject<HTMLElement | null>;

export const runIdAt = (board: Board, column: number): string | null =>
  column < 0 ? null : (board.columns[board.columns.length - 1 - column]?.run.run_id ?? null);

/** The cell that has the focus, or would get it. It stays with its run when columns come and go. */
export function useActive(board: Board, rows: number, scroller: Box, labels: number) {
  const count = board.columns.length;
  const [active, setActive] = useState(() => ({ row: 0, runId: runIdAt(board, count - 1) }));
  const cell = useRef<HTMLElement>(null);
  const moves = useRef(false);
  const found = board.columns.findIndex((column) => column.run.run_id === active.runId);
  const row = Math.min(active.row, rows - 1);
  const column = active.runId === null ? -1 : count - 1 - Math.max(0, found);
  const go = useCallback(
    (to: Position) => {
      // In the corner is nothing to be had.
      if (to.row < 0 && to.column < 0) return;
      moves.current = true;
      setActive({
        row: Math.max(-1, Math.min(rows - 1, to.row)),
        runId: runIdAt(board, Math.min(count - 1, to.column)),
      });
      reveal(scroller.current, to, labels);
    },
    [board, count, rows, scroller, labels],
  );
  useLayoutEffect(() => {
    if (moves.current) cell.current?.focus({ preventScroll: true });
    moves.current = false;
  });
  return { row, column, cell, go };
}

/** Where a key moves to; null: it moves nothing. page: rows that are seen at once. */
export function moveOf(
  event: KeyboardEvent,
  { row, column }: Position,
  size: { rows: number; columns: number; page: number },
): Position | null {
  const last = size.rows - 1;
  switch (event.key) {
    case 'ArrowUp':
      return { row: row - 1, column };
    case 'ArrowDown':
      return { row: row + 1, column };
    case 'ArrowLeft':
      return { row, column: Math.max(-1, column - 1) };
    case 'ArrowRight':
      return { row, column: column + 1 };
    case 'PageUp':
      return { row: Math.max(0, row - size.page), column };
    case 'PageDown':
      return { row: Math.min(last, row + size.page), column };
    case 'Home':
      return event.ctrlKey ? { row: 0, column } : { row, column: row < 0 ? 0 : -1 };
    case 'End':
      return event.ctrlKey ? { row: last, column } : { row, column: size.columns - 1 };
    default:
      return null;
  }
}

/** The cell, head or label under the pointer. */
export function pointedAt(
  event: MouseEvent,
  box: HTMLElement | null,
  labels: number,
  size: { rows: number; columns: number },
): Position | null {
  const place = box?.getBoundingClientRect();
  if (!box || !place) return null;
  const x = event.clientX - place.left;
  const y = event.clientY - place.top;
  if (x >= box.clientWidth || y >= box.clientHeight) return null;
  const column = x < labels ? -1 : Math.floor((x + box.scrollLeft - labels) / CELL.width);
  const row = y < HEAD ? -1 : Math.floor((y + box.scrollTop - HEAD) / CELL.height);
  return column < size.columns && row < size.rows && (row >= 0 || column >= 0) ? { row, column } : null;
}

/** What is seen stays where it is when older runs come in on the left; who looks at the newest run goes on doing so. */
export function useKeepRight(scroller: Box, count: number, newest: string | undefined): void {
  const before = useRef({ count: 0, newest });
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const grown = (count - before.current.count) * CELL.width;
    if (atEnd.current) box.scrollLeft = box.scrollWidth;
    else if (grown > 0 && newest === before.current.newest) box.scrollLeft += grown;
    before.current = { count, newest };
  }, [scroller, count, newest]);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const note = () => void (atEnd.current = box.scrollLeft + box.clientWidth >= box.scrollWidth - 2);
    // A bar that appears or a window that is made narrower would hide the newest run.
    const watcher = new ResizeObserver(() => {
      if (atEnd.current) box.scrollLeft = box.scrollWidth;
    });
    watcher.observe(box);
    box.addEventListener('scroll', note, { passive: true });
    return () => {
      watcher.disconnect();
      box.removeEventListener('scroll', note);
    };
  }, [scroller]);
}

function reveal(box: HTMLElement | null, { row, column }: Position, labels: number): void {
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
