/** Who holds what, as the scheduler names them. */

export type Holder = { dagId: string; runId: string; taskId: string; mapIndex: number };

/** `dag / run / task[index]` taken apart; null if it is something else. */
export function parseHolder(text: string): Holder | null {
  const parts = text.split(' / ');
  if (parts.length !== 3) return null;
  const [dagId, runId, last] = parts as [string, string, string];
  const found = /^(.*?)(?:\[(\d+)\])?$/.exec(last);
  if (!found?.[1]) return null;
  return { dagId, runId, taskId: found[1], mapIndex: found[2] === undefined ? -1 : Number(found[2]) };
}

/** A sentence cut at its `commands`: every second part is one. */
export const cutCommands = (text: string): string[] => text.split('`');
