/** Reads a log into a Book: page after page to its end, then as it is written; and again what the book has dropped. */
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
  private arrived: Line[] = [];
  private arrivedFrom: string | null = null;
  private filling = new Map<number, Promise<void>>();

  constructor(private readonly source: Source) {}

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  };

  readonly snapshot = (): number => this.version;

  start(): void {
    this.abort = new AbortController();
    void this.readOn();
  }

  stop(): void {
    this.abort.abort();
    this.events?.close();
    this.events = null;
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    this.timer = undefined;
  }

  /** Reads again from where it stopped: after an error, or when the try has got on. */
  again(): void {
    if (this.state !== 'failed' && this.state !== 'broken') return;
    this.stop();
    this.become('reading');
    this.start();
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

  private async readOn(): Promise<void> {
    const { signal } = this.abort;
    try {
      for (;;) {
        const cursor = this.book.next;
        const page = await this.source.page(cursor, signal);
        if (signal.aborted) return;
        this.book.append(page, cursor);
        this.changed();
        if (page.ended) return this.become('ended');
        if (page.lines.length === 0 || page.next === cursor) return this.follow();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.become('failed');
    }
  }

  private follow(): void {
    this.become('following');
    const events = new EventSource(this.source.stream(this.book.next));
    this.events = events;
    events.addEventListener('lines', (event) => {
      this.take((JSON.parse(event.data) as { lines: Line[] }).lines, event.lastEventId);
    });
    events.addEventListener('end', () => {
      events.close();
      this.flush();
      this.book.append({ lines: [], ended: true }, null);
      this.become('ended');
    });
    events.onopen = () => this.become('following');
    events.onerror = () => {
      this.become('broken');
      if (events.readyState !== EventSource.CLOSED) return;
      this.retry = setTimeout(() => this.again(), AGAIN);
    };
  }

  private take(lines: Line[], id: string): void {
    if (this.arrived.length === 0) this.arrivedFrom = this.book.next;
    // A stream that begins anew may say again what is known.
    const known = this.book.count ? this.book.firstNumber + this.book.count + this.arrived.length : 0;
    this.arrived.push(...lines.filter((line) => line.number >= known));
    if (id) this.book.next = id;
    this.timer ??= setTimeout(() => this.flush(), PACE);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const lines = this.arrived;
    this.arrived = [];
    if (lines.length) this.book.append({ lines, ended: false }, this.arrivedFrom, true);
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
