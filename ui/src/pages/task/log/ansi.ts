/** ANSI colours of a log's text as data: plain text and the runs of it that have a look. Nothing here makes markup. */

/** 0-15: a colour of the palette; else a colour by its parts. */
export type Colour = number | { r: number; g: number; b: number };
export type Look = {
  fg?: Colour;
  bg?: Colour;
  bold?: true;
  dim?: true;
  italic?: true;
  underline?: true;
  inverse?: true;
  strike?: true;
};
/** A stretch of the plain text, from `start` up to `end`, that has a look. */
export type Run = { start: number; end: number; look: Look };
export type Styled = { text: string; runs: Run[] };

// CSI … final byte · OSC … BEL or ST · one-character escapes · what is left of an escape at the end of a line.
const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~]|$)/g;
// Other control characters would draw nothing, or move what follows; tab and line feed are kept.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

/** The text as it reads without its escapes, and how it looks. A carriage return shows what came after it, as a terminal does. */
export function parseAnsi(raw: string): Styled {
  const source = raw.includes('\r') ? afterReturns(raw) : raw;
  if (!source.includes('\x1b')) return { text: source.replace(CONTROLS, ''), runs: [] };
  let text = '';
  let look: Look = {};
  let at = 0;
  const runs: Run[] = [];
  const put = (piece: string) => {
    const clean = piece.replace(CONTROLS, '');
    if (!clean) return;
    const start = text.length;
    text += clean;
    if (Object.keys(look).length) runs.push({ start, end: text.length, look });
  };
  for (const found of source.matchAll(ESCAPE)) {
    put(source.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[2] === 'm') look = applied(look, found[1] ?? '');
  }
  put(source.slice(at));
  return { text, runs };
}

/** The text without its escapes: what is searched, measured and copied. */
export const plainOf = (raw: string): string =>
  raw.includes('\x1b') || /[\x00-\x08\x0b-\x1f\x7f]/.test(raw) ? parseAnsi(raw).text : raw;

function afterReturns(raw: string): string {
  return raw
    .split('\n')
    .map((line) => {
      const whole = line.replace(/\r+$/, '');
      return whole.slice(whole.lastIndexOf('\r') + 1);
    })
    .join('\n');
}

const FLAGS = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'strike' } as const;
const ENDS: Record<number, readonly (keyof Look)[]> = {
  21: ['bold'],
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  27: ['inverse'],
  29: ['strike'],
  39: ['fg'],
  49: ['bg'],
};

/** The look after an SGR sequence with those parameters. */
function applied(before: Look, parameters: string): Look {
  let look: Look = { ...before };
  const codes = parameters.split(/[;:]/).map((code) => (code === '' ? 0 : Number(code)));
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] as number;
    if (code === 0) look = {};
    else if (code in FLAGS) look[FLAGS[code as keyof typeof FLAGS]] = true;
    else if (code in ENDS) for (const name of ENDS[code] ?? []) delete look[name];
    else if (code >= 30 && code <= 37) look.fg = code - 30;
    else if (code >= 40 && code <= 47) look.bg = code - 40;
    else if (code >= 90 && code <= 97) look.fg = code - 82;
    else if (code >= 100 && code <= 107) look.bg = code - 92;
    else if (code === 38 || code === 48) {
      const [colour, taken] = extended(codes.slice(at + 1));
      if (colour !== null) look[code === 38 ? 'fg' : 'bg'] = colour;
      at += taken;
    }
  }
  return look;
}

function extended(rest: number[]): [Colour | null, number] {
  if (rest[0] === 5 && rest.length > 1) return [fromTable(rest[1] as number), 2];
  if (rest[0] === 2 && rest.length > 3) {
    const [r, g, b] = rest.slice(1, 4).map((value) => Math.min(255, value || 0)) as [number, number, number];
    return [{ r, g, b }, 4];
  }
  return [null, rest.length];
}

const CUBE = [0, 95, 135, 175, 215, 255];

function fromTable(index: number): Colour | null {
  if (!(index >= 0 && index <= 255)) return null;
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return { r: grey, g: grey, b: grey };
  }
  const cell = index - 16;
  return {
    r: CUBE[Math.floor(cell / 36)] as number,
    g: CUBE[Math.floor(cell / 6) % 6] as number,
    b: CUBE[cell % 6] as number,
  };
}

type RGB = { r: number; g: number; b: number };

function luminance({ r, g, b }: RGB): number {
  const linear = (value: number) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

/** How well two colours are told apart, as WCAG counts: 1 to 21. */
export function contrast(one: RGB, other: RGB): number {
  const [dark, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (bright + 0.05) / (dark + 0.05);
}

/** The colour, moved towards black or white until it can be read on that background. */
export function readable(colour: RGB, background: RGB): string {
  const towards = luminance(background) > 0.4 ? 0 : 255;
  let now = colour;
  for (let step = 0; step < 20 && contrast(now, background) < 4.5; step += 1) {
    const move = (value: number) => Math.round(value + (towards - value) * 0.15);
    now = { r: move(now.r), g: move(now.g), b: move(now.b) };
  }
  return `rgb(${now.r}, ${now.g}, ${now.b})`;
}
