/** The rows of the grid: tasks in their groups, folded as the viewer wants. Pure. */
import type { GridTask, GroupNode } from '@/api/schema';

export type Row = {
  kind: 'task' | 'group';
  /** Of the task or the group. */
  id: string;
  label: string;
  depth: number;
  mapped: boolean;
  /** Of a group: whether its content is not shown. */
  collapsed: boolean;
  /** The tasks that the row stands for, as positions in the grid's tasks. */
  tasks: readonly number[];
};

/** What an id says beyond the group that it is in: `load` for `region_1.load` in `region_1`. */
function shortName(id: string, group: string | null | undefined): string {
  return group && id.startsWith(`${group}.`) ? id.slice(group.length + 1) : id;
}

type Place = { group: GroupNode | null; tasks: number[]; entries: (number | Place)[] };

/**
 * The rows from top to bottom. A group is where its first task is; a task whose group is unknown (only older runs have
 * it) is at the top level. With a search, only tasks whose id holds the text are left, and groups that have some: they
 * are shown unfolded.
 */
export function rowsOf(
  tasks: readonly GridTask[],
  groups: readonly GroupNode[],
  collapsed: ReadonlySet<string>,
  search = '',
): Row[] {
  const byId = new Map(groups.map((group) => [group.group_id, group]));
  const root: Place = { group: null, tasks: [], entries: [] };
  const places = new Map<string, Place>();
  const placeOf = (id: string | null | undefined): Place => {
    const group = id ? byId.get(id) : undefined;
    if (!group) return root;
    let place = places.get(group.group_id);
    if (!place) {
      place = { group, tasks: [], entries: [] };
      places.set(group.group_id, place);
      placeOf(group.parent).entries.push(place);
    }
    return place;
  };
  const text = search.trim().toLowerCase();
  tasks.forEach((task, at) => {
    if (text && !`${task.task_id}\n${task.display_name ?? ''}`.toLowerCase().includes(text)) return;
    placeOf(task.group).entries.push(at);
    for (let id = task.group; id; id = byId.get(id)?.parent) {
      if (!byId.has(id)) break;
      placeOf(id).tasks.push(at);
    }
  });
  const rows: Row[] = [];
  const put = (place: Place, depth: number) => {
    for (const entry of place.entries) {
      if (typeof entry === 'number') {
        const task = tasks[entry]!;
        const label = task.display_name ?? shortName(task.task_id, task.group);
        rows.push({
          kind: 'task',
          id: task.task_id,
          label,
          depth,
          mapped: task.mapped,
          collapsed: false,
          tasks: [entry],
        });
      } else {
        const group = entry.group!;
        const folded = !text && collapsed.has(group.group_id);
        const label = group.display_name ?? shortName(group.group_id, group.parent);
        rows.push({
          kind: 'group',
          id: group.group_id,
          label,
          depth,
          mapped: false,
          collapsed: folded,
          tasks: entry.tasks,
        });
        if (!folded) put(entry, depth + 1);
      }
    }
  };
  put(root, 0);
  return rows;
}
