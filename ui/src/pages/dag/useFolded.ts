import { useCallback, useMemo } from 'react';
import { useUrlState } from '@/routing/router';

const NOTHING = '-';

/**
 * Which groups are folded, kept in the address as `folded` (ids hold no commas; `-`: none). Until something is folded or
 * opened it is what the tab begins with.
 */
export function useFolded(first: ReadonlySet<string>) {
  const [url, setUrl] = useUrlState();
  const text = url.get('folded');
  const folded = useMemo(
    () => (text === null ? first : new Set(text === NOTHING ? [] : text.split(','))),
    [text, first],
  );
  const setFolded = useCallback((ids: Iterable<string>) => setUrl({ folded: [...ids].join(',') || NOTHING }), [setUrl]);
  const toggle = useCallback(
    (id: string) => {
      const next = new Set(folded);
      if (!next.delete(id)) next.add(id);
      setFolded(next);
    },
    [folded, setFolded],
  );
  return [folded, toggle, setFolded] as const;
}
