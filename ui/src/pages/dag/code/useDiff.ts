import { useEffect, useState } from 'react';
import { type Diff, diffLines } from './diff';

/** Lines of both texts together, above which the page would be felt to wait. */
const MANY = 4_000;

/** The diff of two texts: at once for short ones, from a worker for long ones; null while it is made. */
export function useDiff(a: string[] | null, b: string[] | null): Diff | null {
  const [found, setFound] = useState<{ a: string[]; b: string[]; diff: Diff } | null>(null);
  useEffect(() => {
    if (!a || !b) return;
    if (a.length + b.length <= MANY) {
      setFound({ a, b, diff: diffLines(a, b) });
      return;
    }
    const worker = new Worker(new URL('./diff.worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Diff>) => setFound({ a, b, diff: data });
    worker.postMessage([a, b]);
    return () => worker.terminate();
  }, [a, b]);
  return found && found.a === a && found.b === b ? found.diff : null;
}
