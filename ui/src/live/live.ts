/**
 * What changes on the server, as it happens: one event stream for the whole app.
 *
 * A page says what it shows and what is to be asked again when that changes (`useLiveQueries`), or takes the changes
 * themselves (`useLive`). While the stream is down, what is shown is asked for every 10 seconds. While the tab is
 * hidden there is no stream; what is shown is asked for when the tab is seen again.
 */
import { type QueryKey, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';
import { address } from '@/api/client';
import { queryClient } from '@/api/queries';

export type RunChange = {
  dag_id: string;
  run_id: string;
  id: number;
  state: string;
  run_type: string;
  run_after: number;
  version: number;
  logical_date?: number;
  started_at?: number;
  ended_at?: number;
};
/** changes: task id, map index, state, try number. many: too many to list; ask again for all of the run's. */
export type TIChanges = {
  dag_id: string;
  run_id: string;
  changes?: [string, number, string, number][];
  many?: boolean;
};
/** What one or several commits changed. `all`: anything may have; times are seconds since 1970. */
export type Changes = {
  at: number;
  runs: RunChange[];
  tis: TIChanges[];
  dags: string[];
  pools: boolean;
  topics: string[];
  all?: boolean;
};
/** What is of interest: a dag's, a run's, or everything where nothing is said. */
export type Interest = {
  dagId?: string;
  runId?: string;
  /** Of which kinds; left out: runs, task instances and dags. */
  kinds?: readonly ('runs' | 'tis' | 'dags' | 'pools')[];
  /** variables, connections, import_errors, accounts, processes */
  topics?: readonly string[];
};
export type LiveState = 'live' | 'connecting' | 'paused';

const POLL_EVERY = 10_000;
const LONGEST_BACKOFF = 10_000;
/** A short look at another tab is no reason to end the stream. */
const HIDDEN_FOR = 20_000;

const takers = new Set<(changes: Changes) => void>();
const watchers = new Set<() => void>();
let state: LiveState = 'connecting';
let source: EventSource | null = null;
let lastId = '';
let failures = 0;
let again: ReturnType<typeof setTimeout> | undefined;
let poll: ReturnType<typeof setInterval> | undefined;
let hiding: ReturnType<typeof setTimeout> | undefined;
let started = false;

const EVERYTHING: Changes = { at: 0, runs: [], tis: [], dags: [], pools: true, topics: [], all: true };

function become(next: LiveState): void {
  if (next === state) return;
  state = next;
  clearInterval(poll);
  poll = next === 'connecting' ? setInterval(() => give(EVERYTHING), POLL_EVERY) : undefined;
  for (const watcher of [...watchers]) watcher();
}

function give(changes: Changes): void {
  for (const taker of [...takers]) taker(changes);
}

function refetchAll(): void {
  give(EVERYTHING);
  void queryClient.invalidateQueries({ refetchType: 'active' });
}

function keepId(event: MessageEvent): void {
  if (event.lastEventId) lastId = event.lastEventId;
}

function take(event: MessageEvent<string>): void {
  keepId(event);
  const data = JSON.parse(event.data) as Partial<Changes>;
  give({ at: 0, runs: [], tis: [], dags: [], pools: false, topics: [], ...data });
}

function open(): void {
  clearTimeout(again);
  source?.close();
  // A stream that we open ourselves sends no Last-Event-ID header, so it is said in the address.
  source = new EventSource(address('/events', { query: { last_event_id: lastId } }));
  source.onopen = () => {
    failures = 0;
    become('live');
  };
  source.onmessage = take;
  source.addEventListener('changes', take);
  source.addEventListener('ready', keepId);
  source.addEventListener('resync', (event) => {
    keepId(event);
    refetchAll();
  });
  source.onerror = () => {
    become('connecting');
    if (source?.readyState !== EventSource.CLOSED) return;
    // The browser has given up (an answer that is no stream); it is tried again with growing patience.
    failures += 1;
    again = setTimeout(open, Math.min(LONGEST_BACKOFF, 500 * 2 ** failures));
  };
}

function close(): void {
  clearTimeout(again);
  source?.close();
  source = null;
}

/** The network is gone or there again; a stream that died with it may not know for minutes. */
function onNetwork(): void {
  if (state === 'paused') return;
  close();
  become('connecting');
  if (!navigator.onLine) return;
  open();
  refetchAll();
}

function onVisibility(): void {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      close();
      become('paused');
    }, HIDDEN_FOR);
  } else if (state === 'paused') {
    become('connecting');
    open();
    refetchAll();
  }
}

/** Begins to listen; for the shell, once somebody is logged in. Returns what ends it. */
export function startLive(): () => void {
  if (started) return () => {};
  started = true;
  poll = setInterval(() => give(EVERYTHING), POLL_EVERY);
  if (document.hidden) become('paused');
  else open();
  document.addEventListener('visibilitychange', onVisibility);
  addEventListener('online', onNetwork);
  addEventListener('offline', onNetwork);
  return () => {
    started = false;
    document.removeEventListener('visibilitychange', onVisibility);
    removeEventListener('online', onNetwork);
    removeEventListener('offline', onNetwork);
    close();
    clearTimeout(hiding);
    clearInterval(poll);
    state = 'connecting';
  };
}

/** Whether changes come as they happen. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => state,
  );
}

/** Whether changes are of interest, and which; null if none is. */
export function concerning(changes: Changes, interest: Interest): Changes | null {
  if (changes.all) return changes;
  const kinds = interest.kinds ?? ['runs', 'tis', 'dags'];
  const fits = (entry: { dag_id: string; run_id: string }) =>
    (interest.dagId === undefined || entry.dag_id === interest.dagId) &&
    (interest.runId === undefined || entry.run_id === interest.runId);
  const found: Changes = {
    at: changes.at,
    runs: kinds.includes('runs') ? changes.runs.filter(fits) : [],
    tis: kinds.includes('tis') ? changes.tis.filter(fits) : [],
    dags: kinds.includes('dags') ? changes.dags.filter((id) => !interest.dagId || id === interest.dagId) : [],
    pools: kinds.includes('pools') && changes.pools,
    topics: changes.topics.filter((topic) => interest.topics?.includes(topic)),
  };
  const any = found.runs.length || found.tis.length || found.dags.length || found.pools || found.topics.length;
  return any ? found : null;
}

/** Takes the changes of interest as they come. `changes.all`: anything may have changed, ask again. */
export function useLive(interest: Interest, onChanges: (changes: Changes) => void): void {
  const current = useRef({ interest, onChanges });
  current.current = { interest, onChanges };
  useEffect(() => {
    const taker = (changes: Changes) => {
      const found = concerning(changes, current.current.interest);
      if (found) current.current.onChanges(found);
    };
    takers.add(taker);
    return () => void takers.delete(taker);
  }, []);
}

/**
 * Asks the queries whose keys begin with one of `keys` again when something of interest changes: at once, then at most
 * every `every` milliseconds, and never before the last answer has come. `about`: whether changes matter.
 */
export function useLiveQueries(
  interest: Interest,
  keys: readonly QueryKey[],
  every = 400,
  about: (changes: Changes) => boolean = () => true,
): void {
  const client = useQueryClient();
  const ask = usePace(
    () => Promise.all(keys.map((queryKey) => client.invalidateQueries({ queryKey }, { cancelRefetch: false }))),
    every,
  );
  useLive(interest, (changes) => {
    if (about(changes)) ask();
  });
}

/** The way to have `act` done at a pace, as long as what asks is shown. */
export function usePace(act: () => Promise<unknown>, every: number): () => void {
  const current = useRef(act);
  current.current = act;
  const pace = useRef<Pace | null>(null);
  useEffect(() => {
    const made = new Pace(() => current.current(), every);
    pace.current = made;
    return () => made.stop();
  }, [every]);
  return useCallback(() => pace.current?.ask(), []);
}

/** Does something when asked: at once if it has not been done for `every` ms, else once after that. */
export class Pace {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;
  private wanted = false;
  private last = -Infinity;
  private stopped = false;

  constructor(
    private readonly act: () => Promise<unknown>,
    private readonly every: number,
  ) {}

  ask(): void {
    this.wanted = true;
    this.plan();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private plan(): void {
    if (this.busy || this.stopped || this.timer !== undefined || !this.wanted) return;
    const wait = Math.max(0, this.last + this.every - performance.now());
    if (wait === 0) void this.run();
    else
      this.timer = setTimeout(() => {
        this.timer = undefined;
        void this.run();
      }, wait);
  }

  private async run(): Promise<void> {
    this.wanted = false;
    this.busy = true;
    this.last = performance.now();
    try {
      await this.act();
    } finally {
      this.busy = false;
      this.plan();
    }
  }
}
