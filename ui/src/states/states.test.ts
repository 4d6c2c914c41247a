import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LOOKS, STATE_ORDER, wordOf } from './states';

const css = readFileSync('src/states/states.css', 'utf8');

function coloursOf(theme: 'light' | 'dark'): Record<string, string> {
  const [light = '', dark = ''] = css.split("[data-mantine-color-scheme='dark']");
  return Object.fromEntries(
    [...(theme === 'light' ? light : dark).matchAll(/--state-([\w-]+): (#\w{6})/g)].map((found) => [
      found[1]!,
      found[2]!,
    ]),
  );
}

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const PAGES = { light: ['#ffffff', '#f7f8fa', '#f3f4f7'], dark: ['#1c2027', '#15181d', '#252a33'] } as const;

describe.each(['light', 'dark'] as const)('in %s', (theme) => {
  const colours = coloursOf(theme);

  it.each(Object.keys(LOOKS))('the word for %s can be read on the page and on its own background', (state) => {
    for (const page of [...PAGES[theme], colours[`${state}-soft`]!]) {
      expect(contrast(colours[`${state}-text`]!, page)).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe('states', () => {
  it('have a shape and a word each, no two the same', () => {
    const shapes = Object.values(LOOKS).map((look) => `${look.line} ${look.fill} ${look.spins}`);
    expect(new Set(shapes).size).toBe(shapes.length);
    const words = Object.keys(LOOKS).map(wordOf);
    expect(new Set(words).size).toBe(words.length);
  });

  it('are all in the order in which they are told', () => {
    expect([...STATE_ORDER].sort()).toEqual(Object.keys(LOOKS).sort());
  });
});
