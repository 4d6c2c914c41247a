import { describe, expect, it } from 'vitest';
import { to } from './paths';
import { match } from './router';

const PATTERN = '/dags/:dagId/runs/:runId/tasks/:taskId/:tab?';

describe('an address', () => {
  it.each([
    ['plain', 'manual__2026-11-22T12:01:50.175225+00:00', 'task'],
    ['a/b', 'run 100%', 'group.task?x=1#y'],
    ['a%2Fb', '..', 'ünï'],
  ])('carries the ids %s, %s, %s through exactly', (dagId, runId, taskId) => {
    const path = to.task(dagId, runId, taskId);
    const parsed = new URL(path, 'http://h');
    // `..` as a whole segment is the one text that an address cannot hold.
    if (runId !== '..') expect(match(PATTERN, parsed.pathname)).toEqual({ dagId, runId, taskId });
  });

  it('has what is optional at its end', () => {
    expect(match('/dags/:dagId/:tab?', '/dags/x')).toEqual({ dagId: 'x' });
    expect(match('/dags/:dagId/:tab?', '/dags/x/grid')).toEqual({ dagId: 'x', tab: 'grid' });
    expect(match('/dags/:dagId/:tab?', '/dags/x/grid/more')).toBeNull();
    expect(match('/dags/:dagId/:tab?', '/runs/x')).toBeNull();
    expect(match('/', '/')).toEqual({});
  });

  it('that is cut off within a character fits nothing', () => {
    expect(match('/dags/:dagId', '/dags/%E2%82')).toBeNull();
  });

  it('of a task says its map index and try', () => {
    expect(to.task('d', 'r', 't', { mapIndex: -1 })).toBe('/dags/d/runs/r/tasks/t');
    expect(to.task('d', 'r', 't', { mapIndex: 0, attempt: 2, tab: 'log' })).toBe(
      '/dags/d/runs/r/tasks/t/log?map_index=0&try=2',
    );
  });
});
