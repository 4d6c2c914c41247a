/** How a look of a log's text is drawn so that it can be read, on light and on dark. */
import type { CSSProperties } from 'react';
import { type Colour, type Look, readable } from './ansi';

/** The usual sixteen, where a background is asked for: there both colours are ours to set. */
const TABLE = [
  [0, 0, 0],
  [205, 49, 49],
  [13, 140, 90],
  [190, 150, 0],
  [36, 90, 200],
  [170, 50, 170],
  [10, 130, 160],
  [229, 229, 229],
  [102, 102, 102],
  [241, 76, 76],
  [35, 209, 139],
  [245, 230, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
] as const;
const LIGHT = { r: 255, g: 255, b: 255 };
const DARK = { r: 18, g: 21, b: 26 };

const partsOf = (colour: Colour) => {
  if (typeof colour !== 'number') return colour;
  const [r, g, b] = TABLE[colour] as readonly [number, number, number];
  return { r, g, b };
};

type Drawn = { className: string; style?: CSSProperties };

/** classes: the names of the style sheet. */
export function drawnAs(look: Look, classes: Record<string, string | undefined>): Drawn {
  const names = (['bold', 'dim', 'italic', 'underline', 'strike'] as const).filter((name) => look[name]);
  const className = (extra?: string) =>
    [...names, extra]
      .map((name) => name && classes[name])
      .filter(Boolean)
      .join(' ');
  const fg = look.inverse ? (look.bg ?? 0) : look.fg;
  const bg = look.inverse ? (look.fg ?? 7) : look.bg;
  if (bg !== undefined) {
    const background = partsOf(bg);
    const { r, g, b } = background;
    const ink = readable(partsOf(fg ?? (g > 140 ? 0 : 15)), background);
    return { className: className(), style: { color: ink, backgroundColor: `rgb(${r}, ${g}, ${b})` } };
  }
  if (typeof fg === 'number') return { className: className(`fg${fg}`) };
  if (fg === undefined) return { className: className() };
  const style = { '--on-light': readable(fg, LIGHT), '--on-dark': readable(fg, DARK) } as CSSProperties;
  return { className: className('rgb'), style };
}
