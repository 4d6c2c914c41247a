/**
 * The address is the state: a small router on the History API.
 *
 * Our own, because the ids in our addresses hold any character (`/`, `%`, `+`), and have to come through exactly:
 * each segment is encoded by itself and decoded by itself.
 */
import { useCallback, useMemo, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of [...listeners]) listener();
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) addEventListener('popstate', changed);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) removeEventListener('popstate', changed);
  };
}

/** Goes to an address of ours. replace: the address that is left is not kept in the history. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const now = location.pathname + location.search + location.hash;
  if (to === now) return;
  history[options.replace ? 'replaceState' : 'pushState'](null, '', to);
  changed();
}

/** The path of the address, still encoded. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The part of the address after `?`. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}

/** The values of `:name` parts, or null if the path does not fit. A part `:name?` may be missing, at the end. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  if (given.length > wanted.length) return null;
  const values: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const text = given[at];
    if (text === undefined) {
      if (!part.endsWith('?')) return null;
    } else if (part.startsWith(':')) {
      try {
        values[part.replace(/^:|\?$/g, '')] = decodeURIComponent(text);
      } catch {
        return null;
      }
    } else if (part !== text) return null;
  }
  return values;
}

export type UrlValues = Record<string, string | null | undefined>;

/**
 * State that is kept in the address, so that a link shows what its sender saw: `const [url, setUrl] = useUrlState()`,
 * `url.get('state')`, `setUrl({ state: 'failed', cursor: null })` (null or '' takes it away; the rest stays).
 */
export function useUrlState(): readonly [URLSearchParams, (values: UrlValues, options?: { push?: boolean }) => void] {
  const search = useSearch();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const set = useCallback((values: UrlValues, options: { push?: boolean } = {}) => {
    const next = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === '') next.delete(name);
      else next.set(name, value);
    }
    const text = next.toString();
    navigate(location.pathname + (text ? `?${text}` : '') + location.hash, { replace: !options.push });
  }, []);
  return [params, set] as const;
}
