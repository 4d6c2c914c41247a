import { type RefObject, useEffect, useState } from 'react';

export type Span = { first: number; last: number };
export type Window = { rows: Span; columns: Span };
type Size = {
  rows: number;
  columns: number;
  rowHeight: number;
  columnWidth: number;
  top: number;
  left: number;
  step: { rows: number; columns: number };
};

const spanOf = (offset: number, length: number, size: number, count: number, step: number): Span => {
  const first = (Math.floor(offset / size / step) - 1) * step;
  const last = (Math.floor((offset + length) / size / step) + 2) * step - 1;
  return { first: Math.max(0, first), last: Math.min(count - 1, last) };
};

/**
 * Which rows and columns of a scrolled box are made: those that are seen, and some around. It changes in whole steps, so
 * that React has work once in some twenty rows and not at each row that passes; scrolling itself is the browser's.
 */
export function useWindow(box: RefObject<HTMLElement | null>, size: Size): Window {
  const { rows, columns, rowHeight, columnWidth, top, left, step } = size;
  const [window, setWindow] = useState<Window>({ rows: { first: 0, last: -1 }, columns: { first: 0, last: -1 } });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const next = {
        rows: spanOf(element.scrollTop, element.clientHeight - top, rowHeight, rows, step.rows),
        columns: spanOf(element.scrollLeft, element.clientWidth - left, columnWidth, columns, step.columns),
      };
      setWindow((before) => (same(before.rows, next.rows) && same(before.columns, next.columns) ? before : next));
    };
    look();
    element.addEventListener('scroll', look, { passive: true });
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      watcher.disconnect();
    };
  }, [box, rows, columns, rowHeight, columnWidth, top, left, step]);
  return window;
}

const same = (a: Span, b: Span): boolean => a.first === b.first && a.last === b.last;
