/** Paints a whole graph small: nodes as boxes in the colours of their states, edges as lines. */
import { stateOf, worst } from '../grid/board';
import type { GraphStates } from './states';
import type { Arranged } from './useArranged';

export type Painted = { x: number; y: number; width: number; height: number; open: boolean; taskIds: string[]; id: string };
export type Picture = { boxes: Painted[]; lines: Float64Array };

/** The boxes and lines of a graph in absolute places. */
export function pictureOf({ graph, layout, direction }: Arranged, idsOf: (positions: readonly number[]) => string[]): Picture {
  const absolute = new Map<string, { x: number; y: number; width: number; height: number }>();
  const boxes: Painted[] = [];
  for (const node of graph.nodes) {
    const place = layout.places[node.id];
    if (!place) continue;
    const outer = node.parent === null ? undefined : absolute.get(node.parent);
    const box = { ...place, x: place.x + (outer?.x ?? 0), y: place.y + (outer?.y ?? 0) };
    absolute.set(node.id, box);
    boxes.push({ ...box, id: node.id, open: node.kind === 'open', taskIds: node.kind === 'open' ? [] : idsOf(node.tasks) });
  }
  const lines = new Float64Array(graph.edges.length * 4);
  graph.edges.forEach((edge, at) => {
    const a = absolute.get(edge.source);
    const b = absolute.get(edge.target);
    if (!a || !b) return;
    const ends = direction === 'right' ? [a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2] : [a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y];
    lines.set(ends, at * 4);
  });
  return { boxes, lines };
}

export type Colours = { fill: (state: string) => string; line: string; edge: string; open: string; box: string };

export function coloursNow(): Colours {
  const style = getComputedStyle(document.documentElement);
  const kept = new Map<string, string>();
  const read = (name: string) => {
    let value = kept.get(name);
    if (value === undefined) kept.set(name, (value = style.getPropertyValue(name).trim() || '#888'));
    return value;
  };
  return { fill: (state) => read(`--state-${state}`), line: read('--line'), edge: read('--state-queued'), open: read('--sunken'), box: read('--raised') };
}

/** zoom: pixels of the canvas per unit of the graph; x, y: where its origin is on the canvas; view: the canvas' size. */
export function paint(pen: CanvasRenderingContext2D, picture: Picture, states: GraphStates, colours: Colours, view: { x: number; y: number; zoom: number; width: number; height: number }): void {
  const { x, y, zoom, width, height } = view;
  const outside = (left: number, top: number, right: number, bottom: number) => right < 0 || bottom < 0 || left > width || top > height;
  for (const box of picture.boxes) {
    if (!box.open) continue;
    const [left, top] = [box.x * zoom + x, box.y * zoom + y];
    if (outside(left, top, left + box.width * zoom, top + box.height * zoom)) continue;
    pen.fillStyle = colours.open;
    pen.strokeStyle = colours.line;
    pen.fillRect(left, top, box.width * zoom, box.height * zoom);
    pen.strokeRect(left, top, box.width * zoom, box.height * zoom);
  }
  pen.strokeStyle = colours.edge;
  pen.lineWidth = 0.7;
  pen.beginPath();
  const { lines } = picture;
  for (let at = 0; at < lines.length; at += 4) {
    const [x1, y1, x2, y2] = [lines[at]! * zoom + x, lines[at + 1]! * zoom + y, lines[at + 2]! * zoom + x, lines[at + 3]! * zoom + y];
    if (outside(Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2))) continue;
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
  }
  pen.stroke();
  const byColour = new Map<string, number[]>();
  picture.boxes.forEach((box, at) => {
    if (box.open) return;
    const [left, top] = [box.x * zoom + x, box.y * zoom + y];
    if (outside(left, top, left + box.width * zoom, top + box.height * zoom)) return;
    const state = stateOf(worst(states.counts(box.taskIds)));
    const colour = state ? colours.fill(state) : colours.line;
    const same = byColour.get(colour);
    if (same) same.push(at);
    else byColour.set(colour, [at]);
  });
  for (const [colour, ats] of byColour) {
    pen.fillStyle = colour;
    for (const at of ats) {
      const box = picture.boxes[at]!;
      pen.fillRect(box.x * zoom + x, box.y * zoom + y, Math.max(1, box.width * zoom), Math.max(1, box.height * zoom));
    }
  }
}
