/**
 * A log as it is read, page by page: small facts of every line are kept, texts only of the pages used last.
 *
 * A page whose text was dropped is read again by the cursor it was read with.
 */
import { plainOf } from './ansi';
import { FoldFinder } from './folds';

export type Line = {
  number: number;
  time?: string | null;
  level?: string | null;
  source?: string | null;
  text: string;
};
export type Page = { lines: readonly Line[]; next?: string | null; ended: boolean };

type Kept = {
  first: number;
  count: number;
  cursor: string | null;
  lines: readonly Line[] | null;
  size: number;
  used: number;
};

const LEVELS = ['', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export const LEVEL_CODES = { debug: 1, info: 2, warning: 3, error: 4, critical: 5 } as const;
export type LevelName = keyof typeof LEVEL_CODES;
const ERROR = LEVEL_CODES.error;
const TAB = 4;
/** What an object for a line costs beside its text, about. */
const OVERHEAD = 150;

/** A level as a number: 0 is unknown, higher is worse. */
export function levelCode(level: string | null | undefined): number {
  const name = (level ?? '').toUpperCase();
  if (name === 'WARN') return LEVEL_CODES.warning;
  if (name === 'FATAL') return LEVEL_CODES.critical;
  return Math.max(0, LEVELS.indexOf(name as (typeof LEVELS)[number]));
}

/** The text as it is drawn: tabs are spaces, so that columns can be counted. */
export const drawn = (raw: string): string => (raw.includes('\t') ? raw.replaceAll('\t', ' '.repeat(TAB)) : raw);

/** How many columns a text takes in a monospaced font. */
export function columns(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let sum = 0;
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    sum += code >= 0x1100 && !(code >= 0x2000 && code <= 0x2e7f) ? 2 : 1;
  }
  return sum;
}

export class Book {
  count = 0;
  /** Raised when there are more lines, so that what is made from them is known as stale. */
  version = 0;
  ended = false;
  /** The cursor of what was not read yet. */
  next: string | null = null;
  /** The number of the first line, from which all others count. */
  firstNumber = 1;
  /** Columns of the widest line. */
  widest = 0;
  readonly finder = new FoldFinder();
  private levels = new Uint8Array(4096);
  private widths = new Uint32Array(4096);
  /** The widths of the parts of lines that have line feeds. */
  private parts = new Map<number, number[]>();
  private pages: Kept[] = [];
  private clock = 0;
  private held = 0;

  constructor(private readonly budget = 96_000_000) {}

  /** Takes what follows. cursor: what it was read with. live: it came while somebody watched. */
  append(page: Page, cursor: string | null, live = false): void {
    const { lines } = page;
    if (lines.length) {
      if (this.count === 0) this.firstNumber = (lines[0] as Line).number;
      const first = this.count;
      this.grow(first + lines.length);
      lines.forEach((line, at) => this.learn(first + at, line, live));
      this.count += lines.length;
      this.keep(first, lines, cursor, live);
    }
    this.next = page.next ?? this.next;
    if (page.ended && !this.ended) {
      this.ended = true;
      this.finder.finish(this.count - 1);
    }
    this.version += 1;
  }

  level(index: number): number {
    return this.levels[index] as number;
  }

  /** Rows that a line takes. wrapAt: columns after which it is broken; 0: it is not. */
  rows(index: number, wrapAt: number): number {
    const parts = this.parts.get(index);
    if (!parts) return wrapAt ? broken(this.widths[index] as number, wrapAt) : 1;
    return wrapAt ? parts.reduce((sum, width) => sum + broken(width, wrapAt), 0) : parts.length;
  }

  /** How many lines its text has. */
  partCount(index: number): number {
    return this.parts.get(index)?.length ?? 1;
  }

  /** A line, if its text is here. */
  line(index: number): Line | null {
    const page = this.pageOf(index);
    if (!page?.lines) return null;
    page.used = ++this.clock;
    return page.lines[index - page.first] ?? null;
  }

  /** The index of the line with that number, or of the last before it. */
  indexOf(number: number): number {
    return Math.max(0, Math.min(this.count - 1, number - this.firstNumber));
  }

  /** What has to be read again to have the line: the cursor and how many lines it gives. null: it is here. */
  missing(index: number): { first: number; cursor: string | null; count: number } | null {
    const page = this.pageOf(index);
    return page && !page.lines ? { first: page.first, cursor: page.cursor, count: page.count } : null;
  }

  /** Takes the text of a page back in. */
  refill(first: number, lines: readonly Line[]): void {
    const page = this.pageOf(first);
    if (!page || page.lines) return;
    page.lines = lines.slice(0, page.count);
    page.used = ++this.clock;
    this.held += page.size;
    this.shed(page);
  }

  /** The pages, for who goes through all of the text: the indexes of their first and after their last line. */
  ranges(): { first: number; end: number }[] {
    return this.pages.map(({ first, count }) => ({ first, end: first + count }));
  }

  private learn(index: number, line: Line, live: boolean): void {
    const code = levelCode(line.level);
    this.levels[index] = code;
    const text = drawn(plainOf(line.text));
    if (text.includes('\n')) {
      const widths = text.replace(/\n+$/, '').split('\n').map(columns);
      this.widths[index] = Math.max(...widths.slice(0, 10_000));
      if (widths.length > 1) this.parts.set(index, widths);
    } else this.widths[index] = columns(text);
    this.widest = Math.max(this.widest, this.widths[index] as number);
    this.finder.take(index, text, line.source ?? null, code >= ERROR, live);
  }

  private keep(first: number, lines: readonly Line[], cursor: string | null, live: boolean): void {
    const size = lines.reduce((sum, line) => sum + line.text.length + OVERHEAD, 0);
    this.held += size;
    const last = this.pages.at(-1);
    // What trickles in is gathered, so that a page is never a single line.
    if (live && last?.lines && last.count < 500) {
      last.lines = [...last.lines, ...lines];
      last.count += lines.length;
      last.size += size;
      last.used = ++this.clock;
      this.shed(last);
      return;
    }
    const page: Kept = { first, count: lines.length, cursor, lines, size, used: ++this.clock };
    this.pages.push(page);
    this.shed(page);
  }

  /** Drops texts of what was used least lately while there is too much; the first page stays, and `but`. */
  private shed(but: Kept): void {
    if (this.held <= this.budget) return;
    const old = this.pages.filter((page) => page.lines && page !== but).sort((a, b) => a.used - b.used);
    for (const page of old) {
      if (this.held <= this.budget * 0.8) return;
      page.lines = null;
      this.held -= page.size;
    }
  }

  private pageOf(index: number): Kept | undefined {
    let low = 0;
    let high = this.pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.pages[middle] as Kept).first <= index) low = middle;
      else high = middle - 1;
    }
    const page = this.pages[low];
    return page && index >= page.first && index < page.first + page.count ? page : undefined;
  }

  private grow(size: number): void {
    if (size <= this.levels.length) return;
    let room = this.levels.length;
    while (room < size) room *= 2;
    const levels = new Uint8Array(room);
    levels.set(this.levels);
    const widths = new Uint32Array(room);
    widths.set(this.widths);
    this.levels = levels;
    this.widths = widths;
  }
}

const broken = (width: number, wrapAt: number): number => Math.max(1, Math.ceil(width / wrapAt));
