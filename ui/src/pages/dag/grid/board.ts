/**
 * The states of a grid in memory, changed in place as the server tells of changes, so that what paints them can paint
 * just the cells that differ. No DOM, no React.
 */
import type { Grid, GridRun } from '@/api/schema';
import type { Changes, RunChange } from '@/live/live';
import { type AnyState, STATE_ORDER, type TIState } from '@/states/states';

export type Counts = Partial<Record<TIState, number>>;
export type Column = {
  run: GridRun;
  /** What the server said of it when it was last asked; null: only its changes told of it. */
  source: GridRun | null;
  /** A state's number for each task of the grid; ABSENT: the run has no such task. */
  states: Uint8Array;
  /** Of mapped tasks, by position: how many instances are in each state. */
  counts: Map<number, Counts>;
};

/**
 * What a change touched. cells: by the run's number, which of the grid's tasks. runs: whether a run is new or has changed.
 * asks: something cannot be known without asking the server; guesses: it should be asked whether a count is right.
 */
export type Effect = { cells: Map<number, Set<number>>; runs: boolean; asks: boolean; guesses: boolean };

export const ABSENT = 255;
const NUMBER = new Map<string, number>(STATE_ORDER.map((state, at) => [state, at]));
const NONE = NUMBER.get('none')!;

export const numberOf = (state: string): number => NUMBER.get(state) ?? NONE;
export const stateOf = (number: number): AnyState | null => STATE_ORDER[number] ?? null;

/** From which states an instance of a mapped task most likely came; the next answer of the server corrects it. */
const BEFORE: Record<string, readonly TIState[]> = {
  scheduled: ['none', 'up_for_retry', 'up_for_reschedule', 'deferred', 'restarting'],
  queued: ['scheduled', 'none'],
  running: ['queued', 'scheduled'],
  skipped: ['none', 'running', 'scheduled'],
  upstream_failed: ['none', 'scheduled'],
  none: ['failed', 'success', 'upstream_failed', 'skipped'],
  restarting: ['running'],
};
const FROM_RUNNING: readonly TIState[] = ['running', 'queued', 'scheduled', 'none'];

/** The state that matters most among those that are there; the order is that of STATE_ORDER. */
export function worst(counts: Counts): number {
  let best = ABSENT;
  for (const [state, count] of Object.entries(counts)) {
    if (count > 0) best = Math.min(best, numberOf(state));
  }
  return best;
}

export class Board {
  readonly columns: Column[];
  readonly positions: Map<string, number>;
  private readonly mapped: boolean[];
  private readonly letters: Map<string, number>;
  private readonly byRun = new Map<string, Column>();
  /** The last known state of instances of mapped tasks: "run id\nposition\nindex". */
  private readonly instances = new Map<string, TIState>();

  /**
   * before: the board that showed the same until now. What it learned of changes is kept for runs that the server was not
   * asked about again.
   */
  constructor(
    readonly grid: Joined,
    before?: Board,
  ) {
    this.positions = new Map(grid.tasks.map((task, at) => [task.task_id, at]));
    this.mapped = grid.tasks.map((task) => task.mapped);
    this.letters = new Map(Object.entries(grid.letters).map(([letter, state]) => [letter, numberOf(state)]));
    this.columns = grid.runs.map((run) => {
      const source = grid.sources.get(run.run_id) ?? run;
      const known = before?.byRun.get(run.run_id);
      return known?.source === source ? this.kept(known, before!) : this.columnOf(run, source);
    });
    for (const column of this.columns) this.byRun.set(column.run.run_id, column);
    for (const column of before?.columns.filter((each) => each.source === null).reverse() ?? []) {
      if (before!.grid.sources.values().next().value !== grid.sources.values().next().value) break;
      if (!this.byRun.has(column.run.run_id)) this.put(this.kept(column, before!));
    }
  }

  private kept(column: Column, before: Board): Column {
    const states = new Uint8Array(this.grid.tasks.length).fill(ABSENT);
    const counts = new Map<number, Counts>();
    this.grid.tasks.forEach((task, at) => {
      const was = before.positions.get(task.task_id);
      if (was === undefined) return;
      states[at] = column.states[was] ?? ABSENT;
      const own = column.counts.get(was);
      if (own) counts.set(at, own);
    });
    return { ...column, states, counts };
  }

  private put(column: Column): void {
    this.columns.unshift(column);
    this.byRun.set(column.run.run_id, column);
  }

  private columnOf(run: GridRun, source: GridRun): Column {
    const states = new Uint8Array(this.grid.tasks.length).fill(ABSENT);
    for (let at = 0; at < run.cells.length; at += 1) {
      const letter = run.cells[at]!;
      if (letter !== '.') states[at] = this.letters.get(letter) ?? NONE;
    }
    const counts = new Map<number, Counts>();
    for (const [task, byState] of Object.entries(run.mapped)) {
      const at = this.positions.get(task);
      if (at !== undefined) counts.set(at, { ...byState });
    }
    return { run, source, states, counts };
  }

  column(runId: string): Column | undefined {
    return this.byRun.get(runId);
  }

  /** The state of a row in a run: of a group, the one that matters most. ABSENT: it has none of these tasks. */
  state(column: Column, tasks: readonly number[]): number {
    let best = ABSENT;
    for (const at of tasks) {
      const state = column.states[at] ?? ABSENT;
      if (state < best) best = state;
    }
    return best;
  }

  /** How many task instances of these tasks are in each state, in a run. */
  counts(column: Column, tasks: readonly number[]): Counts {
    const total: Counts = {};
    for (const at of tasks) {
      const own = column.counts.get(at);
      if (own) {
        for (const [state, count] of Object.entries(own))
          total[state as TIState] = (total[state as TIState] ?? 0) + count;
      } else {
        const state = stateOf(column.states[at] ?? ABSENT) as TIState | null;
        if (state) total[state] = (total[state] ?? 0) + 1;
      }
    }
    return total;
  }

  /**
   * Takes in what changed. fits: whether a new run is one of those that the grid shows. again: it may be in already;
   * then nothing is counted.
   */
  apply(changes: Changes, fits: (run: RunChange) => boolean = () => true, again = false): Effect {
    const effect: Effect = { cells: new Map(), runs: false, asks: Boolean(changes.all), guesses: false };
    for (const change of changes.runs) this.applyRun(change, fits, effect);
    for (const { run_id, changes: moves = [], many } of changes.tis) {
      const column = this.byRun.get(run_id);
      if (!column) continue;
      if (many) effect.asks = true;
      for (const [task, index, state] of moves) {
        const at = this.positions.get(task);
        if (at === undefined || column.states[at] === ABSENT) effect.asks = true;
        else if (this.mapped[at]) this.count(column, at, index, state as TIState, effect, again);
        else this.set(column, at, numberOf(state), effect);
      }
    }
    return effect;
  }

  private applyRun(change: RunChange, fits: (run: RunChange) => boolean, effect: Effect): void {
    const known = this.byRun.get(change.run_id);
    if (!known) {
      if (!fits(change)) return;
      const newest = this.columns[0];
      // A run of a version that no column has may have other tasks; one that is older than the columns may be a page's.
      if (newest && (change.version !== newest.run.version || change.id < newest.run.id)) effect.asks = true;
      else this.add(change, newest);
      effect.runs = true;
      return;
    }
    const { run } = known;
    known.run = { ...run, ...timesOf(change), state: change.state as GridRun['state'] };
    // A run that goes back to the queue was cleared: what became of its tasks is told apart from it.
    effect.runs = true;
  }

  private add(change: RunChange, like: Column | undefined): void {
    const states = like
      ? like.states.map((state) => (state === ABSENT ? ABSENT : NONE))
      : new Uint8Array(this.grid.tasks.length).fill(NONE);
    const run = {
      ...timesOf(change),
      id: change.id,
      run_id: change.run_id,
      run_type: change.run_type,
      state: change.state,
      version: change.version,
      cells: '',
      mapped: {},
    } as GridRun;
    this.put({ run, source: null, states, counts: new Map() });
  }

  private count(column: Column, at: number, index: number, state: TIState, effect: Effect, again: boolean): void {
    // How many instances there are is known to the server only; until it has said so, the best guess is shown.
    effect.guesses = true;
    if (again || index < 0) return;
    const counts = column.counts.get(at) ?? {};
    const key = `${column.run.run_id}\n${at}\n${index}`;
    const before = this.instances.get(key) ?? (BEFORE[state] ?? FROM_RUNNING).find((one) => (counts[one] ?? 0) > 0);
    if (before === state) return;
    if (before) counts[before] = Math.max(0, (counts[before] ?? 0) - 1);
    counts[state] = (counts[state] ?? 0) + 1;
    this.instances.set(key, state);
    column.counts.set(at, counts);
    this.set(column, at, worst(counts), effect);
  }

  private set(column: Column, at: number, state: number, effect: Effect): void {
    column.states[at] = state;
    const cells = effect.cells.get(column.run.id);
    if (cells) cells.add(at);
    else effect.cells.set(column.run.id, new Set([at]));
  }
}

const moment = (seconds: number | null | undefined): string | null =>
  seconds == null ? null : new Date(seconds * 1000).toISOString();

function timesOf(change: RunChange) {
  return {
    run_after: moment(change.run_after)!,
    logical_date: moment(change.logical_date),
    started_at: moment(change.started_at),
    ended_at: moment(change.ended_at),
  };
}

/** sources: of each run, the object that the server's answer had for it, by which one knows whether it was asked again. */
export type Joined = Grid & { sources: ReadonlyMap<string, GridRun> };

/** One grid of several parts, as paging gives them: rows that only a later part has are added at the end. */
export function joined(parts: readonly Grid[]): Joined | null {
  const [first, ...others] = parts;
  if (!first) return null;
  const tasks = [...first.tasks];
  const groups = [...first.groups];
  const positions = new Map(tasks.map((task, at) => [task.task_id, at]));
  const known = new Set(groups.map((group) => group.group_id));
  const runs = [...first.runs];
  const sources = new Map(runs.map((run) => [run.run_id, run]));
  const letters = { ...first.letters };
  for (const part of others) {
    for (const group of part.groups) if (!known.has(group.group_id)) (known.add(group.group_id), groups.push(group));
    for (const task of part.tasks) {
      if (!positions.has(task.task_id)) positions.set(task.task_id, tasks.push(task) - 1);
    }
    Object.assign(letters, part.letters);
    for (const run of part.runs) {
      if (sources.has(run.run_id)) continue;
      sources.set(run.run_id, run);
      const cells = new Array<string>(tasks.length).fill('.');
      part.tasks.forEach((task, at) => (cells[positions.get(task.task_id)!] = run.cells[at] ?? '.'));
      runs.push({ ...run, cells: cells.join('') });
    }
  }
  return { ...first, tasks, groups, runs, letters, sources, next: parts.at(-1)!.next };
}
