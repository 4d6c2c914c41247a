import { useEffect, useState } from 'react';
import type { Structure } from '@/api/schema';
import { arrange } from './layout';
import type { Box, Direction, Layout } from './layered';
import { type VisibleGraph, type VisibleNode, visibleGraph } from './visible';

/** number: which arrangement it is, the first has 1. */
export type Arranged = { number: number; graph: VisibleGraph; layout: Layout; direction: Direction };

/** Room that a node's words need, in pixels. */
function sizeOf(node: VisibleNode): { width: number; height: number } {
  const extra = node.kind === 'folded' ? 74 : node.task?.mapped ? 86 : 54;
  const letters = Math.max(node.label.length * 7.3, (node.task?.operator.length ?? 8) * 6.2 + 66);
  return { width: Math.round(Math.min(280, Math.max(130, letters + extra))), height: 46 };
}

/** The graph with its places. Until they are known, what was there before; `waiting` says for how many nodes. */
export function useArranged(structure: Structure, folded: ReadonlySet<string>, direction: Direction) {
  const [arranged, setArranged] = useState<Arranged | null>(null);
  const [waiting, setWaiting] = useState(0);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const stop = new AbortController();
    const graph = visibleGraph(structure, folded);
    const boxes = graph.nodes.map((node): Box => ({
      id: node.id,
      parent: node.parent,
      open: node.kind === 'open',
      ...sizeOf(node),
    }));
    const links = graph.edges.map(({ id, source, target, label }) => ({ id, source, target, label }));
    setWaiting(graph.nodes.length);
    setError(null);
    arrange(boxes, links, direction, stop.signal)
      .then((layout) => {
        if (stop.signal.aborted) return;
        setArranged((before) => ({ number: (before?.number ?? 0) + 1, graph, layout, direction }));
        setWaiting(0);
      })
      .catch((problem: unknown) => {
        if (!stop.signal.aborted) setError(problem);
      });
    return () => stop.abort();
  }, [structure, folded, direction]);
  return { arranged, waiting, error };
}
