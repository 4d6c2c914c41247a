/** TanStack Query on the API: the key of a query is its path and what it was asked with. */
import { QueryClient, infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { type Answer, ApiError, type Args, type PathOf, api } from './client';

type GetPath = PathOf<'get'> & string;

/** `useQuery(query('/dags/{dag_id}', { path: { dag_id } }))` */
export function query<P extends GetPath>(path: P, args: Omit<Args<P>, 'signal'> = {}) {
  return queryOptions({
    queryKey: keyOf(path, args),
    queryFn: ({ signal }) => api.get(path, { ...args, signal } as Args<P>) as Promise<Answer<P>>,
  });
}

/** A list by parts: `useInfiniteQuery(pages('/runs', { query: { state: 'failed' } }))`; see VirtualTable. */
export function pages<P extends GetPath>(path: P, args: Omit<Args<P>, 'signal'> = {}) {
  return infiniteQueryOptions({
    queryKey: [...keyOf(path, args), 'pages'],
    queryFn: ({ signal, pageParam }) =>
      api.get(path, { ...args, query: { ...args.query, cursor: pageParam }, signal } as Args<P>) as Promise<Answer<P>>,
    initialPageParam: null as string | null,
    getNextPageParam: (last) => (last as { next?: string | null } | undefined)?.next ?? null,
  });
}

/** The key of a query. With less given it is the start of the keys of all queries that say more. */
export function keyOf(path: GetPath, args: { path?: unknown; query?: unknown } = {}): unknown[] {
  const key: unknown[] = [path];
  if (args.path !== undefined || args.query !== undefined) key.push(args.path ?? {});
  if (args.query !== undefined) key.push(args.query);
  return key;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // What is shown is kept fresh by live.ts; a page that is opened again asks again, and shows what it had meanwhile.
      staleTime: 1_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      // Whoever has no network is told so, by the error of a request.
      networkMode: 'always',
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
      retryDelay: (count) => 500 * 2 ** count,
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});
