/** The grid's data: asked for once, then changed in place as the server tells of changes. */
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useReducer, useRef } from 'react';
import { pages } from '@/api/queries';
import type { Grid } from '@/api/schema';
import { type Changes, type RunChange, useLive, usePace } from '@/live/live';
import { Board, type Effect, joined } from './board';

/** Runs that one answer holds. */
const PART = 50;
/** Milliseconds for which changes are kept: an answer that was on its way meanwhile may not know them yet. */
const KEPT = 5_000;
const ASK_EVERY = 1_000;
/** How many instances of a mapped task are in which state is guessed between answers. */
const MAKE_SURE_EVERY = 4_000;

export type RunFilter = { runType: string | null; state: string | null };
export type Painter = (effect: Effect) => void;

export function useGrid(dagId: string, filter: RunFilter) {
  const { runType, state } = filter;
  const options = pages('/dags/{dag_id}/grid', {
    path: { dag_id: dagId },
    query: { limit: PART, run_type: runType as 'manual' | null, state: state ? [state as 'running'] : [] },
  });
  const parts = useInfiniteQuery(options);
  const client = useQueryClient();
  const [tick, ticks] = useReducer((before: number) => before + 1, 0);
  const recent = useRef<{ at: number; changes: Changes }[]>([]);
  const painters = useRef(new Set<Painter>());
  const fits = useCallback(
    (run: RunChange) => (!runType || run.run_type === runType) && (!state || run.state === state),
    [runType, state],
  );

  const filterKey = JSON.stringify(options.queryKey);
  const last = useRef<{ key: string; board: Board } | null>(null);
  const board = useMemo(() => {
    const grid = joined((parts.data?.pages ?? []) as Grid[]);
    if (!grid) return null;
    const before = last.current?.key === filterKey ? last.current.board : undefined;
    const made = new Board(grid, before);
    const since = performance.now() - KEPT;
    for (const { at, changes } of recent.current) if (at > since) made.apply(changes, fits, true);
    return made;
  }, [parts.data, fits, filterKey]);
  useEffect(() => {
    last.current = board && { key: filterKey, board };
  }, [board, filterKey]);

  const [soon, later] = useAsking(() =>
    client.invalidateQueries({ queryKey: options.queryKey }, { cancelRefetch: false }),
  );

  useLive({ dagId }, (changes) => {
    const now = performance.now();
    recent.current = [...recent.current.filter(({ at }) => at > now - KEPT), { at: now, changes }];
    if (changes.dags.length > 0) soon();
    if (!board) return;
    const effect = board.apply(changes, fits);
    for (const paint of painters.current) paint(effect);
    if (effect.asks) soon();
    else if (effect.guesses) later();
    ticks();
  });

  return { board, tick, painters: painters.current, parts };
}

/** Asks at once and then every second at most; or in some seconds, for what is probably right. */
function useAsking(act: () => Promise<unknown>): readonly [soon: () => void, later: () => void] {
  const soon = usePace(act, ASK_EVERY);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  const later = useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      soon();
    }, MAKE_SURE_EVERY);
  }, [soon]);
  return [soon, later];
}
