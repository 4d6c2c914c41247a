/** Arranges a graph, always in a worker: by elk, or by our own layout where elk would take too long. */
import ELK, { type ElkExtendedEdge, type ElkNode } from 'elkjs/lib/elk-api.js';
import elkWorker from 'elkjs/lib/elk-worker.min.js?url';
import { type Box, type Direction, type Layout, type Link, PADDING } from './layered';

/** Elk's time grows faster than the graph: this many take it about a second. */
const ELK_NODES = 260;
const ELK_LINKS = 900;
const PATIENCE = 6_000;
const MANY_ALONE = 5;
/** Pixels of a letter of a label. */
const LETTER = 6.2;

export async function arrange(boxes: Box[], links: Link[], direction: Direction, signal: AbortSignal): Promise<Layout> {
  // Elk puts what is connected to nothing in one line when there are groups; ours makes rows of it.
  const linked = new Set(links.flatMap((link) => [link.source, link.target]));
  const alone = boxes.filter((box) => box.parent === null && !box.open && !linked.has(box.id)).length;
  if (boxes.length <= ELK_NODES && links.length <= ELK_LINKS && alone < MANY_ALONE) {
    const found = await byElk(boxes, links, direction, signal).catch(() => null);
    if (found || signal.aborted) return found ?? { places: {}, routes: {}, labels: {} };
  }
  return byOurs(boxes, links, direction, signal);
}

function byOurs(boxes: Box[], links: Link[], direction: Direction, signal: AbortSignal): Promise<Layout> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Layout>) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    signal.addEventListener('abort', () => worker.terminate());
    worker.postMessage({ boxes, links, direction });
  });
}

async function byElk(boxes: Box[], links: Link[], direction: Direction, signal: AbortSignal): Promise<Layout | null> {
  const elk = new ELK({ workerUrl: elkWorker });
  const end = () => elk.terminateWorker();
  signal.addEventListener('abort', end);
  const late = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), PATIENCE);
    signal.addEventListener('abort', () => resolve(null));
  });
  try {
    const found = await Promise.race([elk.layout(elkGraph(boxes, links, direction)), late]);
    return found && layoutOf(found);
  } finally {
    end();
  }
}

function elkGraph(boxes: readonly Box[], links: readonly Link[], direction: Direction): ElkNode {
  const nodes = new Map<string, ElkNode>();
  const root: ElkNode = {
    id: 'root',
    children: [],
    edges: links.map((link): ElkExtendedEdge => ({
      id: link.id,
      sources: [link.source],
      targets: [link.target],
      ...(link.label ? { labels: [{ text: link.label, width: link.label.length * LETTER + 12, height: 18 }] } : {}),
    })),
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': direction === 'right' ? 'RIGHT' : 'DOWN',
      'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.json.edgeCoords': 'ROOT',
      'elk.layered.spacing.nodeNodeBetweenLayers': '56',
      'elk.layered.spacing.edgeNodeBetweenLayers': '18',
      'elk.spacing.nodeNode': '20',
      'elk.spacing.edgeNode': '14',
      'elk.spacing.edgeEdge': '10',
      'elk.spacing.componentComponent': '40',
      'elk.edgeLabels.inline': 'true',
      'elk.layered.nodePlacement.strategy': 'BRANDES_KOEPF',
      'elk.layered.nodePlacement.bk.fixedAlignment': 'BALANCED',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      'elk.layered.crossingMinimization.forceNodeModelOrder': 'false',
    },
  };
  for (const box of boxes) {
    const node: ElkNode = { id: box.id };
    if (box.open) {
      node.children = [];
      node.layoutOptions = {
        'elk.padding': `[top=${PADDING.top},left=${PADDING.side},bottom=${PADDING.bottom},right=${PADDING.side}]`,
      };
    } else Object.assign(node, { width: box.width, height: box.height });
    nodes.set(box.id, node);
    ((box.parent === null ? root : nodes.get(box.parent)) ?? root).children!.push(node);
  }
  return root;
}

function layoutOf(root: ElkNode): Layout {
  const layout: Layout = { places: {}, routes: {}, labels: {} };
  const walk = (node: ElkNode) => {
    for (const child of node.children ?? []) {
      layout.places[child.id] = {
        x: child.x ?? 0,
        y: child.y ?? 0,
        width: child.width ?? 0,
        height: child.height ?? 0,
      };
      walk(child);
    }
  };
  walk(root);
  for (const edge of root.edges ?? []) {
    const section = edge.sections?.[0];
    if (section) layout.routes[edge.id] = [section.startPoint, ...(section.bendPoints ?? []), section.endPoint];
    const label = edge.labels?.[0];
    if (label?.x !== undefined)
      layout.labels[edge.id] = { x: label.x + (label.width ?? 0) / 2, y: (label.y ?? 0) + (label.height ?? 0) / 2 };
  }
  return layout;
}
