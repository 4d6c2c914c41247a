/** What differs between two texts, line by line: Myers' algorithm, the shortest list of edits. Pure. */

/** Lines that are the same have both numbers (from 0); a removed line has only `a`, an added one only `b`. */
export type DiffLine = { kind: 'same' | 'removed' | 'added'; a: number | null; b: number | null };
export type Diff = { lines: DiffLine[]; added: number; removed: number };

/** Above this many edits the differing middle is told as one block: nobody reads a finer answer, and it costs squares. */
const MOST_EDITS = 2_500;

/** The lines of a text. A line break at the end begins no line. */
export function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return text === '' ? [] : lines;
}

export function diffLines(a: readonly string[], b: readonly string[]): Diff {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail])
    tail += 1;
  const lines: DiffLine[] = [];
  for (let at = 0; at < head; at += 1) lines.push({ kind: 'same', a: at, b: at });
  // Lines as numbers compare faster than as texts.
  const numbers = new Map<string, number>();
  const numbered = (texts: readonly string[]) =>
    Int32Array.from(texts, (text) => {
      let number = numbers.get(text);
      if (number === undefined) numbers.set(text, (number = numbers.size));
      return number;
    });
  const left = numbered(a.slice(head, a.length - tail));
  const right = numbered(b.slice(head, b.length - tail));
  for (const line of middle(left, right)) {
    lines.push({
      kind: line.kind,
      a: line.a === null ? null : line.a + head,
      b: line.b === null ? null : line.b + head,
    });
  }
  for (let at = tail; at > 0; at -= 1) lines.push({ kind: 'same', a: a.length - at, b: b.length - at });
  const count = (kind: DiffLine['kind']) => lines.reduce((sum, line) => sum + (line.kind === kind ? 1 : 0), 0);
  return { lines, added: count('added'), removed: count('removed') };
}

const removed = (a: number): DiffLine => ({ kind: 'removed', a, b: null });
const added = (b: number): DiffLine => ({ kind: 'added', a: null, b });

function middle(a: Int32Array, b: Int32Array): DiffLine[] {
  const trace = search(a, b);
  if (!trace) return [...Array.from(a, (_, at) => removed(at)), ...Array.from(b, (_, at) => added(at))];
  // Back from the end, one edit at a time, along the furthest points that were kept of each number of edits.
  const lines: DiffLine[] = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits > 0; edits -= 1) {
    const before = trace[edits - 1]!;
    const k = x - y;
    const reach = (diagonal: number) => (Math.abs(diagonal) <= edits - 1 ? before[diagonal + edits - 1]! : -1);
    const down = k === -edits || (k !== edits && reach(k - 1) < reach(k + 1));
    const startX = down ? reach(k + 1) : reach(k - 1);
    const afterEdit = down ? startX : startX + 1;
    while (x > afterEdit) lines.push({ kind: 'same', a: --x, b: --y });
    lines.push(down ? added(--y) : removed(--x));
  }
  while (x > 0) lines.push({ kind: 'same', a: --x, b: --y });
  return lines.reverse();
}

/** For each number of edits the furthest x on each diagonal from -edits to edits; null: too many edits. */
function search(a: Int32Array, b: Int32Array): Int32Array[] | null {
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits += 1) {
    const reach = new Int32Array(2 * edits + 1).fill(-1);
    const before = trace[edits - 1];
    for (let k = -edits; k <= edits; k += 2) {
      let x = 0;
      if (before) {
        const of = (diagonal: number) => (Math.abs(diagonal) <= edits - 1 ? before[diagonal + edits - 1]! : -1);
        x = k === -edits || (k !== edits && of(k - 1) < of(k + 1)) ? of(k + 1) : of(k - 1) + 1;
      }
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
      }
      reach[k + edits] = x;
      if (x >= a.length && y >= b.length) {
        trace.push(reach);
        return trace;
      }
    }
    trace.push(reach);
  }
  return null;
}

/** What is shown of a diff: changed lines with some same ones around; the rest as how many are left out. */
export type Hunk = { lines: DiffLine[] } | { hidden: DiffLine[] };

export function hunksOf(diff: Diff, around = 3): Hunk[] {
  const near = new Uint8Array(diff.lines.length);
  diff.lines.forEach((line, at) => {
    if (line.kind !== 'same') near.fill(1, Math.max(0, at - around), at + around + 1);
  });
  const hunks: Hunk[] = [];
  for (let start = 0; start < diff.lines.length;) {
    let end = start;
    while (end < diff.lines.length && near[end] === near[start]) end += 1;
    const lines = diff.lines.slice(start, end);
    // A gap of a line or two costs no more place shown than hidden.
    hunks.push(near[start] || lines.length <= 2 ? { lines } : { hidden: lines });
    start = end;
  }
  return hunks;
}
