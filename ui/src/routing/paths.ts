/** The addresses of our pages. Links are made here and nowhere else. */

const part = encodeURIComponent;
const withQuery = (path: string, query: Record<string, string | number | null | undefined> = {}) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
};

export type DagTab = 'grid' | 'graph' | 'gantt' | 'calendar' | 'runs' | 'durations' | 'code' | 'details';
export type RunTab = 'tasks' | 'gantt' | 'graph' | 'details';
export type TaskTab = 'log' | 'details' | 'rendered' | 'xcom' | 'tries';

export const to = {
  home: () => '/',
  login: (next?: string) => withQuery('/login', { next }),
  dags: (query?: { search?: string; tag?: string; state?: string }) => withQuery('/dags', query),
  dag: (dagId: string, tab?: DagTab, query?: Record<string, string | number | null | undefined>) =>
    withQuery(`/dags/${part(dagId)}${tab ? `/${tab}` : ''}`, query),
  runs: (query?: { dag?: string; state?: string; type?: string }) => withQuery('/runs', query),
  run: (dagId: string, runId: string, tab?: RunTab) =>
    `/dags/${part(dagId)}/runs/${part(runId)}${tab ? `/${tab}` : ''}`,
  /** mapIndex: -1 or undefined is a task that is not mapped; attempt: the number of a try. */
  task: (
    dagId: string,
    runId: string,
    taskId: string,
    more: { mapIndex?: number; attempt?: number; tab?: TaskTab } = {},
  ) =>
    withQuery(`/dags/${part(dagId)}/runs/${part(runId)}/tasks/${part(taskId)}${more.tab ? `/${more.tab}` : ''}`, {
      map_index: more.mapIndex === -1 ? undefined : more.mapIndex,
      try: more.attempt,
    }),
  pools: () => '/pools',
  pool: (name: string) => `/pools/${part(name)}`,
  workers: () => '/workers',
  variables: () => '/variables',
  connections: () => '/connections',
  importErrors: () => '/import-errors',
  users: () => '/users',
  tokens: () => '/tokens',
  audit: (query?: { dag?: string; by?: string }) => withQuery('/audit', query),
  account: () => '/account',
};
