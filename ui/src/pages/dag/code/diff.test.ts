import { describe, expect, it } from 'vitest';
import { type Diff, diffLines, hunksOf, linesOf } from './diff';

const show = (a: string[], b: string[], diff: Diff) =>
  diff.lines.map((line) =>
    line.kind === 'same' ? ` ${a[line.a!]}` : line.kind === 'removed' ? `-${a[line.a!]}` : `+${b[line.b!]}`,
  );
const between = (a: string, b: string) => show([...a], [...b], diffLines([...a], [...b]));

/** Fails unless the diff tells each line of both texts once, in order. */
function check(a: string[], b: string[]): Diff {
  const diff = diffLines(a, b);
  expect(diff.lines.filter((line) => line.a !== null).map((line) => line.a)).toEqual(a.map((_, at) => at));
  expect(diff.lines.filter((line) => line.b !== null).map((line) => line.b)).toEqual(b.map((_, at) => at));
  for (const line of diff.lines) if (line.kind === 'same') expect(a[line.a!]).toBe(b[line.b!]);
  return diff;
}

function longestCommon(a: string[], b: string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    const next = [0];
    b.forEach((y, at) => next.push(x === y ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!)));
    row = next;
  }
  return row[b.length]!;
}

describe('the diff of two texts', () => {
  it('has no edits when they are the same', () => {
    expect(between('abc', 'abc')).toEqual([' a', ' b', ' c']);
  });
  it('tells what was added, removed and changed', () => {
    expect(between('abd', 'abcd')).toEqual([' a', ' b', '+c', ' d']);
    expect(between('abcd', 'abd')).toEqual([' a', ' b', '-c', ' d']);
    expect(between('axd', 'ayd')).toEqual([' a', '-x', '+y', ' d']);
  });
  it('works with an empty text', () => {
    expect(between('', 'ab')).toEqual(['+a', '+b']);
    expect(between('ab', '')).toEqual(['-a', '-b']);
    expect(between('', '')).toEqual([]);
  });
  it('is the shortest for the example of the paper', () => {
    const diff = check([...'ABCABBA'], [...'CBABAC']);
    expect(diff.added + diff.removed).toBe(5);
  });
  it('is whole and shortest for any two texts', () => {
    let seed = 7;
    const random = (below: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
    for (let round = 0; round < 300; round += 1) {
      const text = () => Array.from({ length: random(14) }, () => 'abc'[random(3)]!);
      const [a, b] = [text(), text()];
      const diff = check(a, b);
      expect(diff.lines.filter((line) => line.kind === 'same').length).toBe(longestCommon(a, b));
    }
  });
  it('tells texts that have nothing in common as one block, however long', () => {
    const many = (name: string) => Array.from({ length: 9_000 }, (_, at) => `${name} ${at}`);
    const diff = check(many('old'), many('new'));
    expect([diff.removed, diff.added]).toEqual([9_000, 9_000]);
  });
});

describe('lines', () => {
  it('end with any line break, and none begins after the last', () => {
    expect(linesOf('a\r\nb\nc\n')).toEqual(['a', 'b', 'c']);
    expect(linesOf('a\n\n')).toEqual(['a', '']);
    expect(linesOf('')).toEqual([]);
  });
});

describe('hunks', () => {
  it('hide what is far from a change, and nothing else', () => {
    const a = Array.from({ length: 30 }, (_, at) => `${at}`);
    const b = [...a];
    b[15] = 'changed';
    const hunks = hunksOf(diffLines(a, b), 2);
    expect(hunks.map((hunk) => ('hidden' in hunk ? `hidden ${hunk.hidden.length}` : hunk.lines.length))).toEqual([
      'hidden 13',
      6,
      'hidden 12',
    ]);
  });
});
