import { describe, expect, it } from 'vitest';
import { withChange } from './liveBars';

const change = (run_id: string, run_after: number, state = 'running') => ({
  dag_id: 'd',
  run_id,
  id: 1,
  state,
  run_type: 'manual',
  run_after,
  version: 1,
});
const bars = [3, 2, 1].reduceRight<ReturnType<typeof withChange>>(
  (runs, at) => withChange(runs, change(`r${at}`, at), 3),
  [],
);

describe('the last runs of a dag', () => {
  it('begin with a run that is new, and lose the oldest', () => {
    const next = withChange(bars, change('r4', 4), 3);
    expect(next.map((run) => run.run_id)).toEqual(['r4', 'r3', 'r2']);
  });

  it('show the new state of one of them in its place', () => {
    const next = withChange(bars, change('r2', 2, 'failed'), 3);
    expect(next.map((run) => run.state)).toEqual(['running', 'failed', 'running']);
  });

  it('stay as they are when an older run changes', () => {
    expect(withChange(bars, change('r0', 0), 3)).toEqual(bars);
  });
});
