import { describe, expect, it } from 'vitest';
import type { Changes, TIChanges } from '@/live/live';
import { isAbout } from '../useTask';
import { formatBytes } from '@/components/bytes';
import { cutCommands, parseHolder } from './holders';
import { triesMade } from './tries';

const NOTHING: Changes = { at: 0, runs: [], tis: [], dags: [], pools: false, topics: [] };
const change = (changes: TIChanges['changes']): Changes => ({
  ...NOTHING,
  tis: [{ dag_id: 'd', run_id: 'r', ...(changes ? { changes } : { many: true }) }],
});

describe('parseHolder', () => {
  it('takes apart what the scheduler says', () => {
    expect(parseHolder('shop / manual__2026-01-01T00:00:00+00:00 / load[3]')).toEqual({
      dagId: 'shop',
      runId: 'manual__2026-01-01T00:00:00+00:00',
      taskId: 'load',
      mapIndex: 3,
    });
    expect(parseHolder('shop / r / a.b')?.mapIndex).toBe(-1);
  });

  it('knows what is none', () => {
    expect(parseHolder('another scheduler')).toBeNull();
  });
});

describe('small things', () => {
  it('commands are every second part', () => {
    expect(cutCommands('do `x y` now')).toEqual(['do ', 'x y', ' now']);
  });

  it('sizes are told as people read them', () => {
    expect([812, 1_400, 999_999, 3_000_000, 8.5e9, 2e16].map(formatBytes)).toEqual([
      '812 B',
      '1.4 kB',
      '1.0 MB',
      '3.0 MB',
      '8.5 GB',
      '20000.0 TB',
    ]);
  });

  it('a try that is still to come was not made', () => {
    const made = (state: string, queued_at: string | null) => triesMade({ state, try_number: 1, queued_at });
    expect([made('scheduled', null), made('skipped', null), made('running', '2026-01-01T00:00:00Z')]).toEqual([
      0, 0, 1,
    ]);
  });
});

describe('isAbout', () => {
  it('takes changes of the instance, of its run, of too many to list, and of anything', () => {
    expect(isAbout(change([['t', 1, 'running', 1]]), 't', 1)).toBe(true);
    expect(isAbout(change([['t', 1, 'running', 1]]), 't', null)).toBe(true);
    expect(isAbout(change([['t', 2, 'running', 1]]), 't', 1)).toBe(false);
    expect(isAbout(change(undefined), 't', 1)).toBe(true);
    expect(isAbout({ ...NOTHING, all: true }, 't', 1)).toBe(true);
  });
});
