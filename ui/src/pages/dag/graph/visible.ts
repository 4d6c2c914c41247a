/** What of a dag's graph is shown when some of its groups are folded. Pure. */
import type { GroupNode, Structure, TaskNode } from '@/api/schema';

export type VisibleNode = {
  /** Of a group it has a mark before it, as a task may have the same id. */
  id: string;
  kind: 'task' | 'folded' | 'open';
  /** The open group that it is in. */
  parent: string | null;
  label: string;
  task: TaskNode | null;
  group: GroupNode | null;
  /** The tasks that it stands for or holds, as positions in the structure's tasks. */
  tasks: number[];
};
/** count: how many edges between tasks it stands for. */
export type VisibleEdge = { id: string; source: string; target: string; label: string | null; count: number };
export type VisibleGraph = { nodes: VisibleNode[]; edges: VisibleEdge[] };

export const nodeOfGroup = (groupId: string): string => `group:${groupId}`;
export const nodeOfTask = (taskId: string): string => `task:${taskId}`;

/** Above this many nodes all groups are folded at first. */
const MANY = 300;

export function foldedAtFirst(structure: Structure): Set<string> {
  return structure.tasks.length > MANY ? new Set(structure.groups.map((group) => group.group_id)) : new Set();
}

/** The groups that a group is in, from itself outwards. */
export function chainOf(groupId: string | null | undefined, groups: ReadonlyMap<string, GroupNode>): GroupNode[] {
  const chain: GroupNode[] = [];
  for (
    let group = groupId ? groups.get(groupId) : undefined;
    group;
    group = group.parent ? groups.get(group.parent) : undefined
  ) {
    if (chain.includes(group)) break;
    chain.push(group);
  }
  return chain;
}

/** Parents come before what is in them. */
export function visibleGraph(structure: Structure, folded: ReadonlySet<string>): VisibleGraph {
  const groups = new Map(structure.groups.map((group) => [group.group_id, group]));
  const nodes = new Map<string, VisibleNode>();
  const shownAs = new Map<string, string>();

  const groupNode = (group: GroupNode): VisibleNode => {
    const id = nodeOfGroup(group.group_id);
    const known = nodes.get(id);
    if (known) return known;
    const outer = chainOf(group.parent, groups)[0];
    const parent = outer ? groupNode(outer).id : null;
    const kind = folded.has(group.group_id) ? 'folded' : 'open';
    const label = group.display_name ?? short(group.group_id, group.parent);
    const node: VisibleNode = { id, kind, parent, label, task: null, group, tasks: [] };
    nodes.set(id, node);
    return node;
  };

  structure.tasks.forEach((task, at) => {
    const chain = chainOf(task.group, groups);
    // The outermost folded group hides all that is in it.
    const outermost = chain.findLastIndex((group) => folded.has(group.group_id));
    const open = chain.slice(outermost + 1);
    for (const group of open) groupNode(group).tasks.push(at);
    if (outermost >= 0) {
      const node = groupNode(chain[outermost]!);
      node.tasks.push(at);
      shownAs.set(task.task_id, node.id);
    } else {
      const id = nodeOfTask(task.task_id);
      const parent = chain[0] ? groupNode(chain[0]).id : null;
      const label = task.display_name ?? short(task.task_id, task.group);
      nodes.set(id, { id, kind: 'task', parent, label, task, group: null, tasks: [at] });
      shownAs.set(task.task_id, id);
    }
  });

  const edges = new Map<string, VisibleEdge>();
  for (const task of structure.tasks) {
    const target = shownAs.get(task.task_id)!;
    for (const upstream of task.upstream) {
      const source = shownAs.get(upstream);
      if (source === undefined || source === target) continue;
      const id = `${source}>${target}`;
      const label = structure.edge_labels[`${upstream}>${task.task_id}`] ?? null;
      const known = edges.get(id);
      if (!known) edges.set(id, { id, source, target, label, count: 1 });
      else {
        known.count += 1;
        known.label ??= label;
      }
    }
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

function short(id: string, group: string | null | undefined): string {
  return group && id.startsWith(`${group}.`) ? id.slice(group.length + 1) : id;
}
