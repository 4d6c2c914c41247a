import { describe, expect, it } from 'vitest';
import type { GroupNode, Structure, TaskNode } from '@/api/schema';
import { foldedAtFirst, visibleGraph } from './visible';

const task = (task_id: string, upstream: string[] = [], group: string | null = null) =>
  ({ task_id, upstream, group }) as TaskNode;
const group = (group_id: string, parent: string | null = null) => ({ group_id, parent, tooltip: '' }) as GroupNode;
const structure: Structure = {
  version: 1,
  tasks: [
    task('a'),
    task('g.b', ['a'], 'g'),
    task('g.in.c', ['g.b'], 'g.in'),
    task('g.in.d', ['g.b'], 'g.in'),
    task('e', ['g.in.c', 'g.in.d']),
  ],
  groups: [group('g'), group('g.in', 'g')],
  edge_labels: { 'a>g.b': 'if new' },
};
const shown = (folded: string[]) => {
  const graph = visibleGraph(structure, new Set(folded));
  return {
    nodes: graph.nodes.map((node) => `${node.parent ?? ''}/${node.id} ${node.kind}`).sort(),
    edges: graph.edges.map((edge) => `${edge.id} ${edge.count} ${edge.label ?? ''}`.trim()),
  };
};

describe('the visible graph', () => {
  it('shows all tasks in their open groups', () => {
    expect(shown([])).toEqual({
      nodes: [
        '/group:g open',
        '/task:a task',
        '/task:e task',
        'group:g.in/task:g.in.c task',
        'group:g.in/task:g.in.d task',
        'group:g/group:g.in open',
        'group:g/task:g.b task',
      ],
      edges: [
        'task:a>task:g.b 1 if new',
        'task:g.b>task:g.in.c 1',
        'task:g.b>task:g.in.d 1',
        'task:g.in.c>task:e 1',
        'task:g.in.d>task:e 1',
      ],
    });
  });
  it('draws edges of a folded group as one to the group', () => {
    expect(shown(['g.in']).edges).toEqual(['task:a>task:g.b 1 if new', 'task:g.b>group:g.in 2', 'group:g.in>task:e 2']);
  });
  it('hides all that is in a folded group, whether inner groups are folded or not', () => {
    const outer = {
      nodes: ['/group:g folded', '/task:a task', '/task:e task'],
      edges: ['task:a>group:g 1 if new', 'group:g>task:e 2'],
    };
    expect(shown(['g'])).toEqual(outer);
    expect(shown(['g', 'g.in'])).toEqual(outer);
  });
  it('names parents before what is in them', () => {
    const seen = new Set<string>();
    for (const node of visibleGraph(structure, new Set()).nodes) {
      if (node.parent) expect(seen).toContain(node.parent);
      seen.add(node.id);
    }
  });
  it('folds the groups of a large dag at first', () => {
    expect(foldedAtFirst(structure).size).toBe(0);
    const tasks = Array.from({ length: 400 }, (_, at) => task(`t${at}`));
    expect(foldedAtFirst({ ...structure, tasks })).toEqual(new Set(['g', 'g.in']));
  });
});
