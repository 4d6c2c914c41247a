import { useEffect, useState } from 'react';

/** A number that changes when light turns to dark or back: what reads colours for a canvas reads them again then. */
export function useScheme(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const watcher = new MutationObserver(() => setVersion((before) => before + 1));
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ['data-mantine-color-scheme'] });
    return () => watcher.disconnect();
  }, []);
  return version;
}
