/** Reads a log into a Book: what is there, then what is written; and again what the book has dropped. */
import { Book, type Line, type Page } from './book';

export type Source = {
  page: (cursor: string | null, signal: AbortSignal) => Promise<Page>;
  /** The address of the stream of what is written from a cursor on. */
  stream: (cursor: string | null) => string;
};
/** reading: what is there already. following: it is live. broken: the stream is down, it comes back by itself. */
export type ReaderState = 'reading' | 'following' | 'broken' | 'ended' | 'failed';

/** Between two redraws for lines that come in, in milliseconds. */
const PACE = 80;
const READING_PACE = 250;
/** After so long without a line, what was there is read. */
const QUIET = 700;
/** A part has at least so many lines, however long they are, unless it is the last. */
const LEAST_OF_PART = 100;
const AGAIN = 2_000;

export class Reader {
  readonly book = new Book();
  state: ReaderState = 'reading';
  error: unknown = null;
  /** Raised when there is something new to draw. */
  version = 0;
  private watchers = new Set<() => void>();
  private abort = new AbortController();
  private events: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private arrived: { cursor: string | null; page: Page }[] = [];
  private filling = new Map<number, Promise<void>>();

  constructor(private readonly source: Source) {}

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  };

  readonly snapshot = (): number => this.version;

  /** Begins, or goes on after `stop`. */
  start(): void {
    if (this.state === 'ended') return;
    this.stop();
    this.abort = new AbortController();
    this.become('reading');
    void this.begin();
  }

  stop(): void {
    this.abort.abort();
    this.events?.close();
    this.events = null;
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    clearTimeout(this.quiet);
    this.timer = undefined;
    this.arrived = [];
  }

  /** Reads again from where it stopped: after an error, or when the try has got on. */
  again(): void {
    if (this.state === 'failed' || this.state === 'broken') this.start();
  }

  /** Has the text of a line, sooner or later. */
  need(index: number): Promise<void> {
    const gone = this.book.missing(index);
    if (!gone) return Promise.resolve();
    const known = this.filling.get(gone.first);
    if (known) return known;
    const filling = this.refill(gone).finally(() => this.filling.delete(gone.first));
    this.filling.set(gone.first, filling);
    return filling;
  }

  private async refill(gone: { first: number; cursor: string | null; count: number }): Promise<void> {
    let lines: Line[] = [];
    let cursor = gone.cursor;
    try {
      while (lines.length < gone.count) {
        const page = await this.source.page(cursor, this.abort.signal);
        if (page.lines.length === 0) break;
        lines = lines.concat(page.lines);
        cursor = page.next ?? null;
      }
    } catch {
      return;
    }
    this.book.refill(gone.first, lines);
    this.changed();
  }

  /** The first lines come by a question, whose error can be told; the rest by the stream, as fast as it is read. */
  private async begin(): Promise<void> {
    const { signal } = this.abort;
    try {
      const cursor = this.book.next;
      const page = await this.source.page(cursor, signal);
      if (signal.aborted) return;
      this.book.append(page, cursor);
      this.changed();
      if (page.ended) this.become('ended');
      else this.follow();
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.become('failed');
    }
  }

  private follow(): void {
    const events = new EventSource(this.source.stream(this.book.next));
    this.events = events;
    this.become('reading');
    this.expectMore();
    events.addEventListener('lines', (event) => {
      this.take((JSON.parse(event.data) as { lines: Line[] }).lines, event.lastEventId);
    });
    events.addEventListener('end', () => {
      events.close();
      clearTimeout(this.quiet);
      this.flush();
      this.book.append({ lines: [], ended: true }, null);
      this.become('ended');
    });
    events.onopen = () => {
      if (this.state === 'broken') this.become('reading');
      this.expectMore();
    };
    events.onerror = () => {
      this.become('broken');
      clearTimeout(this.quiet);
      if (events.readyState !== EventSource.CLOSED) return;
      this.retry = setTimeout(() => this.again(), AGAIN);
    };
  }

  /** What is there already comes without a pause; after one, everything is new. */
  private expectMore(): void {
    if (this.state === 'following') return;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.become('following'), QUIET);
  }

  private take(lines: Line[], next: string): void {
    const last = this.arrived.at(-1)?.page.lines.at(-1)?.number ?? this.lastNumber();
    // A stream that begins anew may say again what is known.
    const fresh = lines.filter((line) => line.number > last);
    const cursor = this.arrived.at(-1)?.page.next ?? this.book.next;
    if (fresh.length) this.arrived.push({ cursor, page: { lines: fresh, next, ended: false } });
    // What is there already comes in parts that are full.
    if (this.state !== 'following' && lines.length < LEAST_OF_PART) {
      this.flush();
      this.become('following');
    }
    this.expectMore();
    this.timer ??= setTimeout(() => this.flush(), this.state === 'following' ? PACE : READING_PACE);
  }

  private lastNumber(): number {
    const { book } = this;
    return book.count ? (book.line(book.count - 1)?.number ?? book.firstNumber + book.count - 1) : 0;
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const { page, cursor } of this.arrived.splice(0)) this.book.append(page, cursor, this.state === 'following');
    this.changed();
  }

  private become(state: ReaderState): void {
    if (state === this.state) return;
    this.state = state;
    this.changed();
  }

  private changed(): void {
    this.version += 1;
    for (const watcher of [...this.watchers]) watcher();
  }
}
