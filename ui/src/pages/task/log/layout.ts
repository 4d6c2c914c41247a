/** Which lines of a log are shown, and at which row each begins. */
import type { Book } from './book';
import { type Fold, closedAtFirst } from './folds';

export type Wanted = {
  /** Lines of a lower level are left out; those of unknown level stay. */
  minLevel: number;
  /** What the reader has opened or closed, by the index of the first line. */
  folded: ReadonlyMap<number, boolean>;
  /** The indexes of lines with several rows of which only the first is shown. */
  cut: ReadonlySet<number>;
  wrapAt: number;
};

export const isClosed = (fold: Fold, folded: ReadonlyMap<number, boolean>): boolean =>
  folded.get(fold.start) ?? closedAtFirst(fold);

export class Layout {
  /** The indexes of the lines that are shown. */
  readonly lines: Uint32Array;
  /** The row at which each begins; one more at the end: how many rows there are. */
  private readonly starts: Float64Array;

  constructor(book: Book, wanted: Wanted) {
    const lines = new Uint32Array(book.count);
    const starts = new Float64Array(book.count + 1);
    const { folds, ends } = book.finder;
    let shown = 0;
    let row = 0;
    for (let index = 0; index < book.count; index += 1) {
      const fold = folds.size ? folds.get(index) : undefined;
      const level = book.level(index);
      if ((level === 0 || level >= wanted.minLevel) && !ends.has(index)) {
        lines[shown] = index;
        starts[shown] = row;
        shown += 1;
        row += wanted.cut.has(index) ? 1 : book.rows(index, wanted.wrapAt);
      }
      // A filter looks into what is closed: else it would hide what it was set to find.
      if (fold && wanted.minLevel === 0 && isClosed(fold, wanted.folded)) index = fold.end ?? book.count - 1;
    }
    starts[shown] = row;
    this.lines = lines.subarray(0, shown);
    this.starts = starts.subarray(0, shown + 1);
  }

  get rows(): number {
    return this.starts[this.lines.length] as number;
  }

  startOf(at: number): number {
    return this.starts[at] as number;
  }

  /** Which of the shown lines is at a row. */
  atRow(row: number): number {
    return search(this.lines.length, (at) => (this.starts[at + 1] as number) > row);
  }

  /** Where a line is among those that are shown; if it is not shown, where the next one is. */
  placeOf(index: number): number {
    return search(this.lines.length, (at) => (this.lines[at] as number) >= index);
  }

  shows(index: number): boolean {
    return this.lines[this.placeOf(index)] === index;
  }
}

/** The closed folds that hide a line. */
export function foldsOver(book: Book, folded: ReadonlyMap<number, boolean>, index: number): Fold[] {
  return [...book.finder.folds.values()].filter(
    (fold) => fold.start < index && index <= (fold.end ?? book.count) && isClosed(fold, folded),
  );
}

/** The first number under `end` for which it is true, which it is from there on; else the last. */
function search(end: number, isTrue: (at: number) => boolean): number {
  let low = 0;
  let high = Math.max(0, end - 1);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isTrue(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
