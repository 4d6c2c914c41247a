import { useEffect, useState, useSyncExternalStore } from 'react';
import { address, api } from '@/api/client';
import { Reader, type Source } from './reader';
import { type Hits, NO_HITS, searchOn } from './search';

export type TryOf = { dagId: string; runId: string; taskId: string; mapIndex: number; attempt: number };

const BASE = '/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/log' as const;
/** Lines for one question: as many as an event of the stream has. */
const LIMIT = 1_000;

function placeOf(of: TryOf) {
  return {
    path: { dag_id: of.dagId, run_id: of.runId, task_id: of.taskId, try_number: of.attempt },
    map_index: of.mapIndex,
  };
}

/** The address of a whole log as a file. */
export function downloadOf(of: TryOf): string {
  const { path, map_index } = placeOf(of);
  return address(`${BASE}/download`, { path, query: { map_index } });
}

function sourceOf(of: TryOf): Source {
  const { path, map_index } = placeOf(of);
  return {
    page: async (cursor, signal) => await api.get(BASE, { path, query: { map_index, cursor, limit: LIMIT }, signal }),
    stream: (cursor) => address(`${BASE}/stream`, { path, query: { map_index, cursor } }),
  };
}

/** Reads the log of a try as long as it is shown. */
export function useLog(of: TryOf): Reader {
  const { dagId, runId, taskId, mapIndex, attempt } = of;
  const key = JSON.stringify([dagId, runId, taskId, mapIndex, attempt]);
  const [reader, setReader] = useState(() => ({ key, reader: new Reader(sourceOf(of)) }));
  const current = reader.key === key ? reader : { key, reader: new Reader(sourceOf(of)) };
  if (current !== reader) setReader(current);
  useEffect(() => {
    const { reader: one } = current;
    // A browser has few connections to a server for all of its tabs: one that is hidden keeps none.
    const onVisibility = () => (document.hidden ? one.stop() : one.start());
    onVisibility();
    document.addEventListener('visibilitychange', onVisibility);
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      one.stop();
    };
  }, [current.reader]);
  useSyncExternalStore(current.reader.subscribe, current.reader.snapshot);
  return current.reader;
}

/** What is found so far; it goes on by itself as the log grows. */
export function useSearchHits(reader: Reader, needle: string, minLevel: number): Hits {
  const key = `${needle}\n${minLevel}`;
  const [state, setState] = useState<{ reader: Reader; key: string; hits: Hits }>({ reader, key, hits: NO_HITS });
  const fresh = state.reader === reader && state.key === key ? state.hits : NO_HITS;
  const { count } = reader.book;
  useEffect(() => {
    if (!needle || fresh.upTo >= count) return;
    const abort = new AbortController();
    void searchOn(reader, needle, minLevel, fresh, abort.signal, (hits) => setState({ reader, key, hits }));
    return () => abort.abort();
    // What was found is gone on from; it does not begin a search.
  }, [reader, key, count]);
  return needle ? { ...fresh, looking: fresh.upTo < count } : NO_HITS;
}
