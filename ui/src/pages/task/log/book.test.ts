import { describe, expect, it, vi } from 'vitest';
import { Book, type Line, columns, levelCode } from './book';
import { Layout, foldsOver } from './layout';
import { Reader, type Source } from './reader';
import { NO_HITS, type Hits, nextHit, searchOn } from './search';
import { inLog, ofBar, scaleOf } from './scale';
import { parseHash } from './useLineHash';

const line = (number: number, text: string, more: Partial<Line> = {}): Line => ({
  number,
  text,
  level: 'INFO',
  source: 'stdout',
  ...more,
});
const bookOf = (texts: (string | Partial<Line>)[], live = false): Book => {
  const book = new Book();
  const lines = texts.map((text, at) => (typeof text === 'string' ? line(at + 1, text) : line(at + 1, '', text)));
  book.append({ lines, ended: true, next: 'end' }, null, live);
  return book;
};
const layoutOf = (book: Book, wanted: Partial<ConstructorParameters<typeof Layout>[1]> = {}) =>
  new Layout(book, { minLevel: 0, folded: new Map(), cut: new Set(), wrapAt: 0, ...wanted });
const shown = (layout: Layout) => [...layout.lines];

describe('columns', () => {
  it('counts wide characters twice', () => {
    expect(columns('abc')).toBe(3);
    expect(columns('日本')).toBe(4);
    expect(columns('é→')).toBe(2);
  });
});

describe('levels', () => {
  it('are numbers that grow with the trouble', () => {
    expect(['DEBUG', 'info', 'WARN', 'ERROR', 'FATAL', 'odd', null].map(levelCode)).toEqual([1, 2, 3, 4, 5, 0, 0]);
  });

  it('below the wanted one are left out', () => {
    const book = bookOf(['a', { text: 'b', level: 'ERROR' }, { text: 'c', level: 'WARNING' }]);
    expect(shown(layoutOf(book, { minLevel: 3 }))).toEqual([1, 2]);
  });
});

describe('folds', () => {
  const grouped = ['start', '::group::Build', 'one', 'two', '::endgroup::', 'end'];

  it('a group that ended well is closed, and opens', () => {
    const book = bookOf(grouped);
    expect(shown(layoutOf(book))).toEqual([0, 1, 5]);
    expect(shown(layoutOf(book, { folded: new Map([[1, false]]) }))).toEqual([0, 1, 2, 3, 5]);
  });

  it('a group with an error in it stays open, and so does one that ended while somebody watched', () => {
    expect(shown(layoutOf(bookOf(['::group::x', { text: 'bad', level: 'ERROR' }, '::endgroup::'])))).toHaveLength(2);
    expect(shown(layoutOf(bookOf(grouped, true)))).toHaveLength(5);
  });

  it('groups may be in groups, and end with the log', () => {
    const book = bookOf(['::group::a', '::group::b', 'x', '::endgroup::', 'y']);
    expect(book.finder.folds.get(0)?.end).toBe(4);
    expect(book.finder.folds.get(1)?.end).toBe(3);
  });

  it('the frames of a traceback are one fold, whose error stays', () => {
    const book = bookOf([
      'Traceback (most recent call last):',
      '  File "a.py", line 1, in f',
      '    g()',
      'ValueError: no',
      'after',
    ]);
    expect(book.finder.folds.get(0)).toMatchObject({ kind: 'traceback', end: 2 });
    expect(shown(layoutOf(book))).toHaveLength(5);
    expect(shown(layoutOf(book, { folded: new Map([[0, true]]) }))).toEqual([0, 3, 4]);
  });

  it('lines of another stream do not end a traceback', () => {
    const book = bookOf([
      { text: 'Traceback (most recent call last):', source: 'stderr' },
      { text: 'out', source: 'stdout' },
      { text: '  File "a.py", line 1', source: 'stderr' },
      { text: 'E: no', source: 'stderr' },
    ]);
    expect(book.finder.folds.get(0)?.end).toBe(2);
  });

  it('a filter looks into what is closed', () => {
    expect(shown(layoutOf(bookOf(grouped), { minLevel: 2 }))).toHaveLength(5);
  });

  it('those over a line can be told', () => {
    expect(foldsOver(bookOf(grouped), new Map(), 3).map((fold) => fold.start)).toEqual([1]);
  });
});

describe('rows', () => {
  it('are one a line, or as many as it has line feeds, or as wrapping makes', () => {
    const book = bookOf(['abc', 'x\ny\nz', 'a'.repeat(25)]);
    expect(layoutOf(book).rows).toBe(5);
    const wrapped = layoutOf(book, { wrapAt: 10 });
    expect([0, 1, 2].map((at) => wrapped.startOf(at))).toEqual([0, 1, 4]);
    expect(wrapped.rows).toBe(7);
    expect([0, 1, 3, 4, 6].map((row) => wrapped.atRow(row))).toEqual([0, 1, 1, 2, 2]);
  });

  it('a line that is cut has one', () => {
    expect(layoutOf(bookOf(['x\ny\nz']), { cut: new Set([0]) }).rows).toBe(1);
  });
});

describe('a book', () => {
  const page = (from: number, count: number) => ({
    lines: Array.from({ length: count }, (_, at) => line(from + at, `line ${from + at}`)),
    next: `c${from + count}`,
    ended: false,
  });

  it('drops the texts used least lately, and takes them back in', () => {
    const book = new Book(40_000);
    for (let at = 0; at < 10; at += 1) book.append(page(1 + at * 100, 100), at ? `c${1 + at * 100}` : null);
    expect(book.count).toBe(1000);
    expect(book.line(999)?.number).toBe(1000);
    const gone = book.missing(0);
    expect(gone).toEqual({ first: 0, cursor: null, count: 100 });
    book.refill(0, page(1, 100).lines);
    expect(book.line(42)?.text).toBe('line 43');
    expect(layoutOf(book).rows).toBe(1000);
  });
});

class FakeEvents extends EventTarget {
  static last: FakeEvents;
  static CLOSED = 2;
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly url: string) {
    super();
    FakeEvents.last = this;
  }
  close() {
    this.readyState = 2;
  }
  say(kind: string, lines: Line[], lastEventId: string) {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify({ lines }), lastEventId }));
  }
}
vi.stubGlobal('EventSource', FakeEvents);

const linesFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, at) => line(first + at, `line ${first + at}`));
const sourceOf = (total: number, size: number): Source => ({
  page: async (cursor) => {
    const first = Number(cursor ?? 0);
    const lines = linesFrom(first + 1, Math.min(size, total - first));
    return { lines, next: String(first + lines.length), ended: first + lines.length === total };
  },
  stream: (cursor) => `stream from ${cursor}`,
});
const until = (reader: Reader, isSo: () => boolean) =>
  new Promise<void>((resolve) => {
    const leave = reader.subscribe(() => {
      if (isSo()) {
        leave();
        resolve();
      }
    });
  });
const untilEnded = async (reader: Reader) => {
  const ended = until(reader, () => reader.state === 'ended');
  reader.start();
  await ended;
};

describe('a reader', () => {
  it('asks for the first lines, and takes the rest from the stream to its end', async () => {
    const reader = new Reader(sourceOf(3000, 1000));
    const first = until(reader, () => reader.book.count === 1000);
    reader.start();
    await first;
    expect(FakeEvents.last.url).toBe('stream from 1000');
    FakeEvents.last.say('lines', linesFrom(1001, 1000), '2000');
    FakeEvents.last.say('lines', linesFrom(2001, 1000), '3000');
    FakeEvents.last.say('end', [], '3000');
    expect(reader.state).toBe('ended');
    expect(reader.book.count).toBe(3000);
    expect(reader.book.line(2999)?.text).toBe('line 3000');
    expect(FakeEvents.last.readyState).toBe(FakeEvents.CLOSED);
  });

  it('takes no line twice when the stream begins anew', async () => {
    const reader = new Reader(sourceOf(2000, 1000));
    const first = until(reader, () => reader.book.count === 1000);
    reader.start();
    await first;
    FakeEvents.last.say('lines', linesFrom(1001, 500), '1500');
    FakeEvents.last.say('lines', linesFrom(901, 700), '1600');
    FakeEvents.last.say('end', [], '1600');
    expect(reader.book.count).toBe(1600);
    expect(reader.book.line(1599)?.number).toBe(1600);
  });

  it('says what went wrong, and tries again when it is told to', async () => {
    const source = sourceOf(500, 1000);
    const good = source.page;
    source.page = () => Promise.reject(new Error('down'));
    const reader = new Reader(source);
    const failed = until(reader, () => reader.state === 'failed');
    reader.start();
    await failed;
    expect((reader.error as Error).message).toBe('down');
    source.page = good;
    const ended = until(reader, () => reader.state === 'ended');
    reader.again();
    await ended;
    expect(reader.book.count).toBe(500);
  });
});

describe('a search', () => {
  const search = async (reader: Reader, needle: string, before: Hits = NO_HITS) => {
    let last = before;
    await searchOn(reader, needle, 0, before, new AbortController().signal, (hits) => (last = hits));
    return last;
  };

  it('finds all lines, and goes on from what it has', async () => {
    const reader = new Reader(sourceOf(2500, 5000));
    await untilEnded(reader);
    const hits = await search(reader, 'line 24');
    expect(hits.lines).toHaveLength(111);
    expect(hits).toMatchObject({ upTo: 2500, looking: false });
    expect((await search(reader, 'line 24', { ...hits, lines: [], upTo: 2000 })).lines).toHaveLength(100);
  });

  it('goes round at the ends', () => {
    expect([nextHit([3, 8], 3, 1), nextHit([3, 8], 8, 1), nextHit([3, 8], 3, -1), nextHit([], 0, 1)]).toEqual([
      1, 0, 1, -1,
    ]);
  });
});

describe('the scroll bar', () => {
  it('is the log itself while that is not too high', () => {
    const scale = scaleOf(10_000, 500);
    expect([inLog(scale, 1234), ofBar(scale, 1234), ofBar(scale, 99_999)]).toEqual([1234, 1234, 9500]);
  });

  it('reaches both ends of a log that is', () => {
    const scale = scaleOf(60_000_000, 500);
    expect(inLog(scale, 0)).toBe(0);
    expect(inLog(scale, scale.space - scale.view)).toBe(60_000_000 - 500);
    expect(inLog(scale, ofBar(scale, 31_415_920))).toBeCloseTo(31_415_920, 3);
  });
});

describe('parseHash', () => {
  it('reads a line and a range, and nothing else', () => {
    expect(parseHash('#L120')).toEqual({ from: 120, to: 120 });
    expect(parseHash('#L130-L120')).toEqual({ from: 120, to: 130 });
    expect([parseHash('#code=x'), parseHash('#L'), parseHash('')]).toEqual([null, null, null]);
  });
});
