/** The task instances of a run as rows: mapped ones folded into one row a task, unless it is opened. */
import type { TaskInstance } from '@/api/schema';

export type Row =
  | { kind: 'one'; ti: TaskInstance; inside: boolean }
  | {
      kind: 'mapped';
      taskId: string;
      counts: Record<string, number>;
      total: number;
      open: boolean;
      startedAt: string | null;
      endedAt: string | null;
    };

/** items: in the order of the dag's tasks and by map index. name: only tasks whose id has this text. */
export function rowsOf(items: readonly TaskInstance[], open: ReadonlySet<string>, name: string): Row[] {
  const rows: Row[] = [];
  const wanted = name.toLowerCase();
  for (let at = 0; at < items.length;) {
    const first = items[at] as TaskInstance;
    let end = at + 1;
    while (end < items.length && items[end]?.task_id === first.task_id) end += 1;
    if (!wanted || first.task_id.toLowerCase().includes(wanted)) {
      if (first.map_index === -1) for (const ti of items.slice(at, end)) rows.push({ kind: 'one', ti, inside: false });
      else {
        const members = items.slice(at, end);
        rows.push(foldedOf(members, open.has(first.task_id)));
        if (open.has(first.task_id)) for (const ti of members) rows.push({ kind: 'one', ti, inside: true });
      }
    }
    at = end;
  }
  return rows;
}

function foldedOf(members: readonly TaskInstance[], open: boolean): Row {
  const counts: Record<string, number> = {};
  let startedAt: string | null = null;
  let endedAt: string | null = null;
  let all = true;
  for (const ti of members) {
    counts[ti.state] = (counts[ti.state] ?? 0) + 1;
    if (ti.started_at && (startedAt === null || ti.started_at < startedAt)) startedAt = ti.started_at;
    if (!ti.ended_at) all = false;
    else if (endedAt === null || ti.ended_at > endedAt) endedAt = ti.ended_at;
  }
  const taskId = members[0]?.task_id ?? '';
  return { kind: 'mapped', taskId, counts, total: members.length, open, startedAt, endedAt: all ? endedAt : null };
}

/** The pages of a list with the states and tries of a live change put in; the same pages if none of it is in them. */
export function patched<P extends { items: readonly TaskInstance[] }>(
  pages: readonly P[],
  changes: readonly [string, number, string, number][],
): readonly P[] {
  const by = new Map(changes.map((change) => [`${change[0]}\n${change[1]}`, change]));
  let any = false;
  const next = pages.map((page) => {
    let touched = false;
    const items = page.items.map((ti) => {
      const change = by.get(`${ti.task_id}\n${ti.map_index}`);
      if (!change || (change[2] === ti.state && change[3] === ti.try_number)) return ti;
      touched = true;
      return { ...ti, state: change[2] as TaskInstance['state'], try_number: change[3] };
    });
    any ||= touched;
    return touched ? { ...page, items } : page;
  });
  return any ? next : pages;
}

type First = TaskInstance & { many: number };

/** The first instance of each task, and how many of it wait. */
export function firstOfEach(items: readonly TaskInstance[]): First[] {
  const found = new Map<string, First>();
  for (const ti of items) {
    const first = found.get(ti.task_id);
    if (first) first.many += 1;
    else found.set(ti.task_id, { ...ti, many: 1 });
  }
  return [...found.values()];
}
