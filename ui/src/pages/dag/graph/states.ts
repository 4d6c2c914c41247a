/** The states of what the graph shows: nodes read their own, so that a change draws only the nodes that it is about. */
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Counts } from '../grid/board';

type Source = (taskId: string) => Counts | null;

export class GraphStates {
  private source: Source = () => null;
  private readonly listeners = new Set<() => void>();

  set(source: Source): void {
    this.source = source;
    for (const listener of [...this.listeners]) listener();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  counts(taskIds: readonly string[]): Counts {
    const total: Record<string, number> = {};
    for (const id of taskIds) {
      for (const [state, count] of Object.entries(this.source(id) ?? {})) {
        if (count > 0) total[state] = (total[state] ?? 0) + count;
      }
    }
    return total;
  }
}

export const StatesContext = createContext(new GraphStates());

/** How many instances of these tasks are in each state. */
export function useCounts(taskIds: readonly string[]): Counts {
  const states = useContext(StatesContext);
  const text = useSyncExternalStore(states.subscribe, () => JSON.stringify(states.counts(taskIds)));
  return JSON.parse(text) as Counts;
}
