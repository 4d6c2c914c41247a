import { describe, expect, it } from 'vitest';
import type { Grid, GridRun, GridTask, GroupNode } from '@/api/schema';
import type { Changes, RunChange } from '@/live/live';
import { ABSENT, Board as RealBoard, joined, stateOf, worst } from './board';
import { rowsOf } from './rows';

const task = (task_id: string, group: string | null = null, mapped = false): GridTask => ({
  task_id,
  group,
  mapped,
  display_name: null,
});
const group = (group_id: string, parent: string | null = null) => ({ group_id, parent, tooltip: '' }) as GroupNode;
const run = (id: number, cells: string, more: Partial<GridRun> = {}): GridRun =>
  ({
    id,
    run_id: `r${id}`,
    run_type: 'manual',
    state: 'running',
    run_after: '2026-01-01T00:00:00Z',
    version: 1,
    cells,
    mapped: {},
    ...more,
  }) as GridRun;
const grid = (more: Partial<Grid> = {}): Grid =>
  ({
    tasks: [task('a'), task('g.b', 'g'), task('g.m', 'g', true), task('z')],
    groups: [group('g')],
    runs: [run(2, 'sfr.', { mapped: { 'g.m': { running: 2, queued: 1, success: 1 } } }), run(1, 'ssss')],
    letters: { s: 'success', f: 'failed', r: 'running', n: 'none' },
    next: null,
    ...more,
  }) as Grid;
class Board extends RealBoard {
  constructor(...parts: Grid[]) {
    super(joined(parts)!);
  }
}
const changes = (more: Partial<Changes>): Changes => ({
  at: 0,
  runs: [],
  tis: [],
  dags: [],
  pools: false,
  topics: [],
  ...more,
});
const moved = (run_id: string, ...moves: [string, number, string][]) =>
  changes({ tis: [{ dag_id: 'd', run_id, changes: moves.map(([id, index, state]) => [id, index, state, 1]) }] });
const change = (id: number, state: string, more: Partial<RunChange> = {}): RunChange => ({
  dag_id: 'd',
  run_id: `r${id}`,
  id,
  state,
  run_type: 'manual',
  run_after: 1_767_225_600,
  version: 1,
  ...more,
});
const states = (board: RealBoard, at: number) => [...board.columns[at]!.states].map((state) => stateOf(state) ?? '.');

describe('the board', () => {
  it('reads the letters of the cells', () => {
    expect(states(new Board(grid()), 0)).toEqual(['success', 'failed', 'running', '.']);
  });
  it('moves a task and says which cell changed', () => {
    const board = new Board(grid());
    const effect = board.apply(moved('r1', ['z', -1, 'failed']));
    expect(states(board, 1)).toEqual(['success', 'success', 'success', 'failed']);
    expect([...effect.cells]).toEqual([[1, new Set([3])]]);
    expect(effect.asks).toBe(false);
  });
  it('leaves runs that it does not show alone', () => {
    expect(new Board(grid()).apply(moved('other', ['z', -1, 'failed'])).cells.size).toBe(0);
  });
  it('asks about a task that it does not know, or that the run had not', () => {
    expect(new Board(grid()).apply(moved('r1', ['new', -1, 'failed'])).asks).toBe(true);
    expect(new Board(grid()).apply(moved('r2', ['z', -1, 'failed'])).asks).toBe(true);
  });
  it('counts instances of a mapped task, and says that it is a guess', () => {
    const board = new Board(grid());
    const effect = board.apply(moved('r2', ['g.m', 0, 'success'], ['g.m', 2, 'running'], ['g.m', 2, 'failed']));
    expect(board.columns[0]!.counts.get(2)).toEqual({ running: 1, queued: 0, success: 2, failed: 1 });
    expect(stateOf(board.columns[0]!.states[2]!)).toBe('failed');
    expect([effect.asks, effect.guesses]).toEqual([false, true]);
  });
  it('takes the same change twice without counting twice', () => {
    const board = new Board(grid());
    board.apply(moved('r2', ['g.m', 0, 'success']));
    board.apply(moved('r2', ['g.m', 0, 'success']));
    expect(board.columns[0]!.counts.get(2)).toMatchObject({ running: 1, success: 2 });
  });
  it('does not count a change that an answer may know already', () => {
    const board = new Board(grid());
    board.apply(moved('r2', ['g.m', 0, 'success'], ['a', -1, 'failed']), undefined, true);
    expect(board.columns[0]!.counts.get(2)).toEqual({ running: 2, queued: 1, success: 1 });
    expect(states(board, 0)[0]).toBe('failed');
  });
  it('adds a new run before the others, with the tasks of its version', () => {
    const board = new Board(grid());
    const effect = board.apply(changes({ runs: [change(3, 'queued')] }));
    expect(board.columns.map((column) => column.run.run_id)).toEqual(['r3', 'r2', 'r1']);
    expect(states(board, 0)).toEqual(['none', 'none', 'none', '.']);
    expect([effect.runs, effect.asks]).toEqual([true, false]);
    board.apply(moved('r3', ['a', -1, 'running']));
    expect(states(board, 0)[0]).toBe('running');
  });
  it('asks for a new run of another version, and leaves out one that the filter does', () => {
    const board = new Board(grid());
    expect(board.apply(changes({ runs: [change(3, 'queued', { version: 2 })] })).asks).toBe(true);
    expect(board.apply(changes({ runs: [change(3, 'queued')] }), () => false).runs).toBe(false);
    expect(board.columns.length).toBe(2);
  });
  it('keeps up with the state and the times of a run', () => {
    const board = new Board(grid());
    board.apply(changes({ runs: [change(2, 'failed', { started_at: 1_767_225_601, ended_at: 1_767_225_611 })] }));
    expect(board.column('r2')!.run).toMatchObject({
      state: 'failed',
      started_at: '2026-01-01T00:00:01.000Z',
      ended_at: '2026-01-01T00:00:11.000Z',
    });
  });
  it('tells of a group the state that matters most, and how many are in each', () => {
    const board = new Board(grid());
    expect(stateOf(board.state(board.columns[0]!, [0, 1, 2, 3]))).toBe('failed');
    expect(board.state(board.columns[0]!, [3])).toBe(ABSENT);
    expect(board.counts(board.columns[0]!, [0, 1, 2, 3])).toEqual({ success: 2, failed: 1, running: 2, queued: 1 });
  });
  it('has no worst state of nothing', () => {
    expect(worst({ failed: 0 })).toBe(ABSENT);
  });
});

describe('a board that follows another', () => {
  const older = grid({ tasks: [task('z'), task('a')], runs: [run(0, 'ss')] });

  it('keeps what was learned of runs that were not asked about again, and new runs', () => {
    const first = grid();
    const before = new Board(first);
    before.apply(moved('r1', ['z', -1, 'failed']));
    before.apply(changes({ runs: [change(3, 'running')] }));
    before.apply(moved('r3', ['a', -1, 'running']));
    const after = new RealBoard(joined([first, older])!, before);
    expect(after.columns.map((column) => column.run.run_id)).toEqual(['r3', 'r2', 'r1', 'r0']);
    expect(states(after, 0)[0]).toBe('running');
    expect(states(after, 2)[3]).toBe('failed');
    after.apply(moved('r0', ['a', -1, 'failed']));
    expect(states(new RealBoard(joined([first, older])!, after), 3)[0]).toBe('failed');
  });
  it('believes the server where it was asked again', () => {
    const before = new Board(grid());
    before.apply(moved('r1', ['z', -1, 'failed']));
    before.apply(changes({ runs: [change(3, 'running')] }));
    const after = new RealBoard(joined([grid()])!, before);
    expect(after.columns.map((column) => column.run.run_id)).toEqual(['r2', 'r1']);
    expect(states(after, 1)[3]).toBe('success');
  });
});

describe('parts of a grid', () => {
  it('are joined by task, whatever order each part has them in', () => {
    const older = grid({ tasks: [task('z'), task('gone'), task('a')], runs: [run(1, 'fff'), run(0, 'srf')] });
    const whole = joined([grid({ next: 'x' }), older])!;
    expect(whole.tasks.map((one) => one.task_id)).toEqual(['a', 'g.b', 'g.m', 'z', 'gone']);
    expect(whole.runs.map((one) => [one.run_id, one.cells])).toEqual([
      ['r2', 'sfr.'],
      ['r1', 'ssss'],
      ['r0', 'f..sr'],
    ]);
    expect(whole.next).toBeNull();
    expect(states(new RealBoard(whole), 0)).toEqual(['success', 'failed', 'running', '.', '.']);
  });
  it('are nothing when there are none', () => {
    expect(joined([])).toBeNull();
  });
});

describe('the rows', () => {
  const tasks = [task('a'), task('g.b', 'g'), task('z'), task('g.in.c', 'g.in'), task('lost', 'unknown')];
  const groups = [group('g'), group('g.in', 'g')];
  const show = (folded: string[], search = '') =>
    rowsOf(tasks, groups, new Set(folded), search).map((row) => `${'  '.repeat(row.depth)}${row.label}`);

  it('hold tasks in their groups, where the first task of a group is', () => {
    expect(show([])).toEqual(['a', 'g', '  b', '  in', '    c', 'z', 'lost']);
  });
  it('leave out what is in a folded group', () => {
    expect(show(['g'])).toEqual(['a', 'g', 'z', 'lost']);
    expect(show(['g.in'])).toEqual(['a', 'g', '  b', '  in', 'z', 'lost']);
  });
  it('stand for all tasks in a group', () => {
    expect(rowsOf(tasks, groups, new Set(['g'])).find((row) => row.id === 'g')!.tasks).toEqual([1, 3]);
  });
  it('are searched through folded groups', () => {
    expect(show(['g'], 'IN.C')).toEqual(['g', '  in', '    c']);
  });
});
