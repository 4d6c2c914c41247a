/**
 * Paints cells on canvases: a state's colour and shape, and for what stands for several instances a strip that says how
 * many are in which state. Canvases are tiles that scroll with the page, so that scrolling paints nothing anew.
 */
import { STATE_ORDER, lookOf } from '@/states/states';
import { ABSENT, type Board, type Column, type Counts } from './board';
import type { Row } from './rows';

export const CELL = { width: 22, height: 24 };
/** How high the heads of the columns are. */
export const HEAD = 96;
const ICON = 15;

export type Palette = { fills: string[]; softs: string[]; sprites: (HTMLCanvasElement | undefined)[]; scale: number };

/** The colours of the theme that is on, and each state's picture. */
export function paletteOf(scale: number): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim() || '#888888';
  const fills = STATE_ORDER.map((state) => read(`--state-${state}`));
  const softs = STATE_ORDER.map((state) => read(`--state-${state}-soft`));
  return { fills, softs, sprites: STATE_ORDER.map((state, at) => sprite(state, fills[at]!, softs[at]!, scale)), scale };
}

function sprite(state: string, fill: string, soft: string, scale: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = CELL.width * scale;
  canvas.height = CELL.height * scale;
  const pen = canvas.getContext('2d');
  if (!pen) return canvas;
  pen.scale(scale, scale);
  pen.fillStyle = soft;
  pen.beginPath();
  pen.roundRect(1, 1, CELL.width - 2, CELL.height - 2, 4);
  pen.fill();
  pen.translate((CELL.width - ICON) / 2, (CELL.height - ICON) / 2);
  pen.scale(ICON / 16, ICON / 16);
  const look = lookOf(state);
  pen.fillStyle = pen.strokeStyle = fill;
  pen.lineWidth = 2;
  pen.lineCap = pen.lineJoin = 'round';
  if (look.line) pen.stroke(new Path2D(look.line));
  if (look.fill) pen.fill(new Path2D(look.fill), 'evenodd');
  return canvas;
}

/** Paints one cell with its corner at x, y. */
export function paintCell(
  pen: CanvasRenderingContext2D,
  palette: Palette,
  board: Board,
  column: Column,
  row: Row,
  x: number,
  y: number,
): void {
  pen.clearRect(x, y, CELL.width, CELL.height);
  const state = board.state(column, row.tasks);
  const picture = state === ABSENT ? undefined : palette.sprites[state];
  if (!picture) return;
  const counts = row.kind === 'group' || row.mapped ? board.counts(column, row.tasks) : null;
  const mixed = counts !== null && Object.values(counts).filter((count) => count > 0).length > 1;
  pen.drawImage(picture, x, mixed ? y - 2 : y, CELL.width, CELL.height);
  if (mixed) paintShares(pen, palette, counts, x, y);
}

function paintShares(pen: CanvasRenderingContext2D, palette: Palette, counts: Counts, x: number, y: number): void {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const [left, width, top] = [x + 2, CELL.width - 4, y + CELL.height - 4];
  pen.clearRect(x, top - 1, CELL.width, 5);
  let at = 0;
  STATE_ORDER.forEach((state, number) => {
    const count = counts[state] ?? 0;
    if (count === 0) return;
    pen.fillStyle = palette.fills[number]!;
    pen.fillRect(left + (at / total) * width, top, Math.max(1, (count / total) * width), 3);
    at += count;
  });
}
