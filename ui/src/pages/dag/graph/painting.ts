/** Paints a whole graph small: nodes as boxes in the colours of their states, edges as lines. */
import { stateOf, worst } from '../grid/board';
import type { GraphStates } from './states';
import type { Arranged } from './useArranged';

/** The box around a whole graph. */
export function boundsOf({ graph, layout }: Arranged): { x: number; y: number; width: number; height: number } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const node of graph.nodes) {
    const place = layout.places[node.id];
    if (node.parent !== null || !place) continue;
    left = Math.min(left, place.x);
    top = Math.min(top, place.y);
    right = Math.max(right, place.x + place.width);
    bottom = Math.max(bottom, place.y + place.height);
  }
  return left > right
    ? { x: 0, y: 0, width: 1, height: 1 }
    : { x: left, y: top, width: right - left, height: bottom - top };
}

export type Painted = {
  x: number;
  y: number;
  width: number;
  height: number;
  open: boolean;
  taskIds: string[];
  id: string;
};
/** lines: four numbers for each edge, from x, y to x, y; ends: the ids of what it joins. */
export type Picture = { boxes: Painted[]; lines: Float64Array; ends: [string, string][]; down: boolean };

/** The boxes and lines of a graph in absolute places. */
export function pictureOf(
  { graph, layout, direction }: Arranged,
  idsOf: (positions: readonly number[]) => string[],
): Picture {
  const absolute = new Map<string, { x: number; y: number; width: number; height: number }>();
  const boxes: Painted[] = [];
  for (const node of graph.nodes) {
    const place = layout.places[node.id];
    if (!place) continue;
    const outer = node.parent === null ? undefined : absolute.get(node.parent);
    const box = { ...place, x: place.x + (outer?.x ?? 0), y: place.y + (outer?.y ?? 0) };
    absolute.set(node.id, box);
    boxes.push({
      ...box,
      id: node.id,
      open: node.kind === 'open',
      taskIds: node.kind === 'open' ? [] : idsOf(node.tasks),
    });
  }
  const lines = new Float64Array(graph.edges.length * 4);
  graph.edges.forEach((edge, at) => {
    const a = absolute.get(edge.source);
    const b = absolute.get(edge.target);
    if (!a || !b) return;
    const ends =
      direction === 'right'
        ? [a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2]
        : [a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y];
    lines.set(ends, at * 4);
  });
  return {
    boxes,
    lines,
    ends: graph.edges.map((edge): [string, string] => [edge.source, edge.target]),
    down: direction === 'down',
  };
}

export type Colours = { fill: (state: string) => string; line: string; edge: string; open: string; accent: string };

export function coloursNow(): Colours {
  const style = getComputedStyle(document.documentElement);
  const kept = new Map<string, string>();
  const read = (name: string) => {
    let value = kept.get(name);
    if (value === undefined) kept.set(name, (value = style.getPropertyValue(name).trim() || '#888'));
    return value;
  };
  return {
    fill: (state) => read(`--state-${state}`),
    line: read('--line'),
    edge: read('--state-queued'),
    open: read('--sunken'),
    accent: read('--accent-text'),
  };
}

/** zoom: pixels of the canvas per unit of the graph; x, y: where its origin is on the canvas; width, height: the canvas. */
export type View = { x: number; y: number; zoom: number; width: number; height: number };

const isOutside = (view: View, left: number, top: number, right: number, bottom: number): boolean =>
  right < 0 || bottom < 0 || left > view.width || top > view.height;

/** Edges as curves; those of the node `marked` in the accent's colour. */
export function paintLines(
  pen: CanvasRenderingContext2D,
  { lines, ends, down }: Picture,
  colours: Colours,
  view: View,
  marked: string | null,
): void {
  const { x, y, zoom } = view;
  const trace = (wanted: boolean) => {
    pen.beginPath();
    for (let edge = 0; edge < ends.length; edge += 1) {
      if (wanted !== (marked !== null && ends[edge]!.includes(marked))) continue;
      const at = edge * 4;
      const [x1, y1, x2, y2] = [
        lines[at]! * zoom + x,
        lines[at + 1]! * zoom + y,
        lines[at + 2]! * zoom + x,
        lines[at + 3]! * zoom + y,
      ];
      if (isOutside(view, Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2))) continue;
      pen.moveTo(x1, y1);
      // A curve of a few pixels is a line.
      if (zoom < 0.15) pen.lineTo(x2, y2);
      else if (down) pen.bezierCurveTo(x1, (y1 + y2) / 2, x2, (y1 + y2) / 2, x2, y2);
      else pen.bezierCurveTo((x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
    }
    pen.stroke();
  };
  pen.strokeStyle = colours.edge;
  pen.lineWidth = zoom < 0.15 ? 0.6 : 1.2;
  trace(false);
  if (marked === null) return;
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 2;
  trace(true);
}

/** The state that each box shows; null: none. */
export function statesOf(picture: Picture, states: GraphStates): (string | null)[] {
  return picture.boxes.map((box) => (box.open ? null : stateOf(worst(states.counts(box.taskIds)))));
}

/** Open groups, or all others, in the colours of their states. */
export function paintBoxes(
  pen: CanvasRenderingContext2D,
  { boxes }: Picture,
  shown: readonly (string | null)[],
  open: boolean,
  colours: Colours,
  view: View,
): void {
  const { x, y, zoom } = view;
  const byColour = new Map<string, Painted[]>();
  boxes.forEach((box, index) => {
    if (box.open !== open) return;
    const [left, top] = [box.x * zoom + x, box.y * zoom + y];
    if (isOutside(view, left, top, left + box.width * zoom, top + box.height * zoom)) return;
    if (box.open) {
      pen.fillStyle = colours.open;
      pen.strokeStyle = colours.line;
      pen.fillRect(left, top, box.width * zoom, box.height * zoom);
      pen.strokeRect(left, top, box.width * zoom, box.height * zoom);
      return;
    }
    const state = shown[index];
    const colour = state ? colours.fill(state) : colours.line;
    const same = byColour.get(colour);
    if (same) same.push(box);
    else byColour.set(colour, [box]);
  });
  for (const [colour, same] of byColour) {
    pen.fillStyle = colour;
    for (const box of same)
      pen.fillRect(box.x * zoom + x, box.y * zoom + y, Math.max(1, box.width * zoom), Math.max(1, box.height * zoom));
  }
}
