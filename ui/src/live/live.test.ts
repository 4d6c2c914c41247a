import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Changes, Pace, concerning } from './live';

const CHANGES: Changes = {
  at: 1,
  runs: [
    { dag_id: 'a', run_id: 'r1', id: 1, state: 'running', run_type: 'manual', run_after: 1, version: 1 },
    { dag_id: 'b', run_id: 'r1', id: 2, state: 'running', run_type: 'manual', run_after: 1, version: 1 },
  ],
  tis: [{ dag_id: 'a', run_id: 'r2', changes: [['t', -1, 'running', 1]] }],
  dags: ['c'],
  pools: false,
  topics: ['variables'],
};

describe('what is of interest', () => {
  it('is what belongs to a dag, or to a run of it', () => {
    expect(concerning(CHANGES, { dagId: 'a' })).toMatchObject({ runs: [{ id: 1 }], tis: [{ run_id: 'r2' }], dags: [] });
    expect(concerning(CHANGES, { dagId: 'a', runId: 'r1' })).toMatchObject({ runs: [{ id: 1 }], tis: [] });
    expect(concerning(CHANGES, { dagId: 'z' })).toBeNull();
  });

  it('is only of the kinds and topics that were named', () => {
    expect(concerning(CHANGES, { kinds: ['pools'] })).toBeNull();
    expect(concerning(CHANGES, { kinds: [], topics: ['variables'] })).toMatchObject({
      topics: ['variables'],
      runs: [],
    });
  });

  it('is everything when anything may have changed', () => {
    expect(concerning({ ...CHANGES, all: true }, { dagId: 'z' })).not.toBeNull();
  });
});

describe('the pace', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is at once, and then once for all that came meanwhile', async () => {
    const act = vi.fn(async () => {});
    const pace = new Pace(act, 400);
    pace.ask();
    await vi.advanceTimersByTimeAsync(0);
    expect(act).toHaveBeenCalledTimes(1);
    for (let count = 0; count < 10; count += 1) pace.ask();
    await vi.advanceTimersByTimeAsync(399);
    expect(act).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(act).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(act).toHaveBeenCalledTimes(2);
  });

  it('waits for the last answer', async () => {
    let answer = () => {};
    const act = vi.fn(() => new Promise<void>((resolve) => (answer = resolve)));
    const pace = new Pace(act, 100);
    pace.ask();
    pace.ask();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(act).toHaveBeenCalledTimes(1);
    answer();
    await vi.advanceTimersByTimeAsync(1);
    expect(act).toHaveBeenCalledTimes(2);
  });

  it('goes on after an answer that failed', async () => {
    const act = vi.fn(async () => {
      throw new Error('no');
    });
    const pace = new Pace(() => act().catch(() => {}), 100);
    pace.ask();
    await vi.advanceTimersByTimeAsync(1);
    pace.ask();
    await vi.advanceTimersByTimeAsync(200);
    expect(act).toHaveBeenCalledTimes(2);
  });

  it('ends when it is stopped', async () => {
    const act = vi.fn(async () => {});
    const pace = new Pace(act, 100);
    pace.ask();
    await vi.advanceTimersByTimeAsync(1);
    pace.ask();
    pace.stop();
    await vi.advanceTimersByTimeAsync(500);
    expect(act).toHaveBeenCalledTimes(1);
  });
});
