/** Looks for a text in the whole of a log, also in what was dropped from memory, and in what is still being written. */
import { plainOf } from './ansi';
import { type Book, drawn } from './book';
import { findMatches } from './pieces';
import type { Reader } from './reader';

/** The indexes of the lines that have the text, in order; `upTo`: how far was looked. */
export type Hits = { lines: number[]; upTo: number; looking: boolean };
export const NO_HITS: Hits = { lines: [], upTo: 0, looking: false };

export const textOfLine = (book: Book, index: number): string | null => {
  const line = book.line(index);
  return line ? drawn(plainOf(line.text)) : null;
};

/** Goes on from what was found before. tell: is called with what is known so far, now and then. */
export async function searchOn(
  reader: Reader,
  needle: string,
  minLevel: number,
  before: Hits,
  signal: AbortSignal,
  tell: (hits: Hits) => void,
): Promise<void> {
  const { book } = reader;
  const lines = before.lines.slice();
  let upTo = before.upTo;
  let told = performance.now();
  for (const range of book.ranges()) {
    if (range.end <= upTo) continue;
    for (let index = Math.max(upTo, range.first); index < range.end; index += 1) {
      const level = book.level(index);
      if (level !== 0 && level < minLevel) continue;
      if (book.missing(index)) await reader.need(index);
      if (signal.aborted) return;
      const text = textOfLine(book, index);
      if (text !== null && findMatches(text, needle).length) lines.push(index);
    }
    upTo = range.end;
    if (performance.now() - told > 50) {
      tell({ lines: lines.slice(), upTo, looking: true });
      await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return;
      told = performance.now();
    }
  }
  tell({ lines, upTo, looking: false });
}

/** Which of the hits is the next one from a line on, in a direction; it goes round at the ends. */
export function nextHit(hits: readonly number[], from: number, step: 1 | -1): number {
  if (hits.length === 0) return -1;
  if (step === 1) {
    const at = hits.findIndex((index) => index > from);
    return at === -1 ? 0 : at;
  }
  const at = hits.findLastIndex((index) => index < from);
  return at === -1 ? hits.length - 1 : at;
}
