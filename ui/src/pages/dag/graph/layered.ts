/**
 * A layered layout of our own, for graphs that elk would take too long for: tasks in layers along the direction, each
 * layer ordered and placed by what its tasks are connected to. Groups are laid out from the inside out. Linear in nodes
 * and edges but for a few sorts. Pure.
 */

export type Direction = 'right' | 'down';
export type Box = { id: string; parent: string | null; width: number; height: number; open: boolean };
export type Link = { id: string; source: string; target: string; label?: string | null };
export type Place = { x: number; y: number; width: number; height: number };
type Point = { x: number; y: number };
/**
 * places: relative to the parent. routes: absolute points of edges; an edge without one is drawn as a curve. labels: where
 * the middle of an edge's label is.
 */
export type Layout = { places: Record<string, Place>; routes: Record<string, Point[]>; labels: Record<string, Point> };

export const PADDING = { top: 38, side: 16, bottom: 16 };
const BETWEEN_LAYERS = 64;
const BETWEEN_NODES = 16;
const SWEEPS = 6;

export function layered(boxes: readonly Box[], links: readonly Link[], direction: Direction): Layout {
  const byId = new Map(boxes.map((box) => [box.id, box]));
  const children = new Map<string | null, Box[]>([[null, []]]);
  for (const box of boxes) {
    const parent = box.parent !== null && byId.has(box.parent) ? box.parent : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(box);
    else children.set(parent, [box]);
  }
  const levels = liftedLinks(byId, links);
  const places: Record<string, Place> = {};
  const lay = (parent: string | null): { width: number; height: number } => {
    const own = children.get(parent) ?? [];
    const sizes = own.map((box) =>
      box.open && children.has(box.id) ? lay(box.id) : { width: box.width, height: box.height },
    );
    const at = new Map(own.map((box, index) => [box.id, index]));
    const edges = (levels.get(parent) ?? []).map(([a, b]) => [at.get(a)!, at.get(b)!] as const);
    const found = layLevel(sizes, edges, direction);
    const inset = parent === null ? { top: 0, side: 0, bottom: 0 } : PADDING;
    own.forEach((box, index) => {
      const { x, y } = found.points[index]!;
      places[box.id] = { x: x + inset.side, y: y + inset.top, ...sizes[index]! };
    });
    return { width: found.width + 2 * inset.side, height: found.height + inset.top + inset.bottom };
  };
  lay(null);
  return { places, routes: {}, labels: {} };
}

/** Links between siblings, for each level: a link into a group counts, one level up, as a link to the group. */
function liftedLinks(byId: ReadonlyMap<string, Box>, links: readonly Link[]): Map<string | null, [string, string][]> {
  const chain = (id: string): string[] => {
    const ids: string[] = [];
    for (let box = byId.get(id); box; box = box.parent === null ? undefined : byId.get(box.parent)) ids.unshift(box.id);
    return ids;
  };
  const chains = new Map<string, string[]>();
  const chainFor = (id: string) => {
    let known = chains.get(id);
    if (!known) chains.set(id, (known = chain(id)));
    return known;
  };
  const levels = new Map<string | null, [string, string][]>();
  const seen = new Set<string>();
  for (const { source, target } of links) {
    const a = chainFor(source);
    const b = chainFor(target);
    let depth = 0;
    while (depth < a.length && depth < b.length && a[depth] === b[depth]) depth += 1;
    const [from, into] = [a[depth], b[depth]];
    if (from === undefined || into === undefined) continue;
    const key = `${from}\n${into}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const level = depth === 0 ? null : a[depth - 1]!;
    const known = levels.get(level);
    if (known) known.push([from, into]);
    else levels.set(level, [[from, into]]);
  }
  return levels;
}

type Size = { width: number; height: number };
type Pair = readonly [number, number];

function layLevel(sizes: readonly Size[], given: readonly Pair[], direction: Direction) {
  const main = (size: Size) => (direction === 'right' ? size.width : size.height);
  const cross = (size: Size) => (direction === 'right' ? size.height : size.width);
  const { layer, forward, back } = layersOf(sizes.length, given);
  const linked = (at: number) => forward[at]!.length + back[at]!.length > 0;
  const layers: number[][] = [];
  const alone: number[] = [];
  for (let at = 0; at < sizes.length; at += 1) {
    if (linked(at)) (layers[layer[at]!] ??= []).push(at);
    else alone.push(at);
  }
  const centre = new Float64Array(sizes.length);
  const breadth = sizes.map(cross);
  for (const nodes of layers)
    settle(
      nodes,
      nodes.map(() => 0),
      centre,
      breadth,
    );
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const downwards = sweep % 2 === 0;
    const order = downwards ? layers : [...layers].reverse();
    const neighbours = downwards ? back : forward;
    for (const nodes of order) {
      const wanted = new Map(nodes.map((node) => [node, mean(neighbours[node]!, centre) ?? centre[node]!]));
      // The order is free to change in the first sweeps; the last ones only straighten.
      if (sweep < SWEEPS - 2) nodes.sort((a, b) => wanted.get(a)! - wanted.get(b)! || centre[a]! - centre[b]!);
      settle(
        nodes,
        nodes.map((node) => wanted.get(node)!),
        centre,
        breadth,
      );
    }
  }
  return placed(sizes, layers, alone, centre, { main, cross, direction });
}

function mean(nodes: readonly number[], centre: Float64Array): number | null {
  if (nodes.length === 0) return null;
  let sum = 0;
  for (const node of nodes) sum += centre[node]!;
  return sum / nodes.length;
}

/** The layer of each node: one after its last predecessor, as close to its successors as it can be without one. */
function layersOf(count: number, given: readonly Pair[]) {
  const forward: number[][] = Array.from({ length: count }, () => []);
  for (const [a, b] of given) if (a !== b) forward[a]!.push(b);
  // Groups can wait for each other in a circle though their tasks do not; the edge that closes it is turned around.
  const state = new Uint8Array(count);
  const finished: number[] = [];
  for (let root = 0; root < count; root += 1) {
    if (state[root] !== 0) continue;
    const stack: [number, number][] = [[root, 0]];
    state[root] = 1;
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const [node, next] = top;
      const into = forward[node]![next];
      if (into === undefined) {
        state[node] = 2;
        finished.push(node);
        stack.pop();
      } else if (state[into] === 1) {
        forward[node]!.splice(next, 1);
        if (!forward[into]!.includes(node) && into !== node) forward[into]!.push(node);
      } else {
        top[1] += 1;
        if (state[into] === 0) {
          state[into] = 1;
          stack.push([into, 0]);
        }
      }
    }
  }
  const back: number[][] = Array.from({ length: count }, () => []);
  forward.forEach((nodes, at) => nodes.forEach((into) => back[into]!.push(at)));
  const layer = new Int32Array(count);
  for (const node of finished.reverse()) {
    for (const into of forward[node]!) layer[into] = Math.max(layer[into]!, layer[node]! + 1);
  }
  for (let at = 0; at < count; at += 1) {
    if (back[at]!.length === 0 && forward[at]!.length > 0) {
      layer[at] = Math.min(...forward[at]!.map((into) => layer[into]!)) - 1;
    }
  }
  return { layer, forward, back };
}

/**
 * Puts the nodes of a layer, in their order, as near to where they want to be as their sizes allow: least squares, by
 * pooling those that would overlap.
 */
function settle(
  nodes: readonly number[],
  wanted: readonly number[],
  centre: Float64Array,
  breadth: readonly number[],
): void {
  const offsets: number[] = [];
  let offset = 0;
  nodes.forEach((node, at) => {
    if (at > 0) offset += breadth[nodes[at - 1]!]! / 2 + BETWEEN_NODES + breadth[node]! / 2;
    offsets.push(offset);
  });
  const pools: { sum: number; count: number }[] = [];
  nodes.forEach((_, at) => {
    let pool = { sum: wanted[at]! - offsets[at]!, count: 1 };
    for (
      let before = pools.at(-1);
      before && before.sum / before.count >= pool.sum / pool.count;
      before = pools.at(-1)
    ) {
      pool = { sum: pool.sum + before.sum, count: pool.count + before.count };
      pools.pop();
    }
    pools.push(pool);
  });
  let at = 0;
  for (const { sum, count } of pools) {
    for (let left = count; left > 0; left -= 1, at += 1) centre[nodes[at]!] = sum / count + offsets[at]!;
  }
}

type Axes = { main: (size: Size) => number; cross: (size: Size) => number; direction: Direction };

function placed(
  sizes: readonly Size[],
  layers: readonly number[][],
  alone: readonly number[],
  centre: Float64Array,
  axes: Axes,
) {
  const { main, cross, direction } = axes;
  let low = Infinity;
  let high = -Infinity;
  for (const nodes of layers) {
    for (const node of nodes ?? []) {
      low = Math.min(low, centre[node]! - cross(sizes[node]!) / 2);
      high = Math.max(high, centre[node]! + cross(sizes[node]!) / 2);
    }
  }
  if (low > high) low = high = 0;
  const along = new Float64Array(sizes.length);
  const across = new Float64Array(sizes.length);
  let position = 0;
  for (const nodes of layers) {
    if (!nodes?.length) continue;
    const thickest = Math.max(...nodes.map((node) => main(sizes[node]!)));
    for (const node of nodes) {
      along[node] = position + (thickest - main(sizes[node]!)) / 2;
      across[node] = centre[node]! - cross(sizes[node]!) / 2 - low;
    }
    position += thickest + BETWEEN_LAYERS;
  }
  let length = Math.max(0, position - BETWEEN_LAYERS);
  let width = high - low;
  // What is connected to nothing stands in rows of its own, about as wide as high.
  const perRow = Math.ceil(Math.sqrt(alone.length));
  let [x, y] = [0, width > 0 ? width + 2 * BETWEEN_NODES : 0];
  let row = 0;
  alone.forEach((node, at) => {
    if (at > 0 && at % perRow === 0) {
      y += row + BETWEEN_NODES;
      [x, row] = [0, 0];
    }
    along[node] = x;
    across[node] = y;
    x += main(sizes[node]!) + BETWEEN_NODES;
    row = Math.max(row, cross(sizes[node]!));
    length = Math.max(length, x - BETWEEN_NODES);
    width = Math.max(width, y + row);
  });
  const points = sizes.map((_, at) =>
    direction === 'right' ? { x: along[at]!, y: across[at]! } : { x: across[at]!, y: along[at]! },
  );
  return direction === 'right' ? { points, width: length, height: width } : { points, width, height: length };
}
