/** What can be folded in a log: ::group:: to ::endgroup::, and the frames of a traceback. Found line by line, as it is read. */

export type Fold = {
  /** The index of the line that stays when it is closed. */
  start: number;
  /** The index of its last line; while it has not ended, null. */
  end: number | null;
  kind: 'group' | 'traceback';
  /** Whether it holds a line of level error or worse. */
  trouble: boolean;
  /** Whether it ended while somebody watched: such a one is not closed before their eyes. */
  live: boolean;
};

const GROUP = /^\s*::group::/;
const END = /^\s*::endgroup::\s*$/;
const TRACEBACK = /^(\s*[|+ ]*)(?:Exception Group )?Traceback \(most recent call last\):\s*$/;

export class FoldFinder {
  /** By the index of the first line. */
  readonly folds = new Map<number, Fold>();
  /** The lines that only end a group: they are not shown. */
  readonly ends = new Set<number>();
  private groups: Fold[] = [];
  private traceback: { fold: Fold; indent: string; source: string | null } | null = null;

  /** Takes the next line. text: without escapes, one line of it. trouble: its level is error or worse. */
  take(index: number, text: string, source: string | null, trouble: boolean, live: boolean): void {
    this.inTraceback(index, text, source, live);
    if (trouble) for (const group of this.groups) group.trouble = true;
    if (END.test(text)) {
      const group = this.groups.pop();
      if (!group) return;
      this.close(group, index, live);
      this.ends.add(index);
      return;
    }
    const opened = GROUP.test(text);
    if (opened) this.groups.push(this.open(index, 'group'));
    const frames = TRACEBACK.exec(text);
    if (frames && !this.traceback)
      this.traceback = { fold: this.open(index, 'traceback'), indent: frames[1] ?? '', source };
  }

  /** The log has ended: what is open ends with it. */
  finish(last: number): void {
    for (const group of this.groups.splice(0)) this.close(group, last, true);
    if (this.traceback) this.close(this.traceback.fold, last, true);
    this.traceback = null;
  }

  private inTraceback(index: number, text: string, source: string | null, live: boolean): void {
    const now = this.traceback;
    // Lines of another stream may come in between; they do not end it.
    if (!now || source !== now.source) return;
    const rest = text.startsWith(now.indent) ? text.slice(now.indent.length) : null;
    if (rest !== null && /^\s+\S/.test(rest)) return;
    this.close(now.fold, index - 1, live);
    this.traceback = null;
  }

  private open(start: number, kind: Fold['kind']): Fold {
    const fold: Fold = { start, end: null, kind, trouble: false, live: false };
    this.folds.set(start, fold);
    return fold;
  }

  private close(fold: Fold, end: number, live: boolean): void {
    if (end <= fold.start) this.folds.delete(fold.start);
    else Object.assign(fold, { end, live });
  }
}

/** Whether a fold is closed as long as nobody has said: groups that ended well are, tracebacks are not. */
export const closedAtFirst = (fold: Fold): boolean =>
  fold.kind === 'group' && fold.end !== null && !fold.trouble && !fold.live;
