import { describe, expect, it } from 'vitest';
import { contrast, parseAnsi, plainOf, readable } from './ansi';

const looks = (raw: string) => {
  const { text, runs } = parseAnsi(raw);
  return runs.map(({ start, end, look }) => [text.slice(start, end), look]);
};

describe('parseAnsi', () => {
  it('leaves plain text as it is', () => {
    expect(parseAnsi('a <b>line</b> & more')).toEqual({ text: 'a <b>line</b> & more', runs: [] });
  });

  it('gives each stretch the look that was set, until it is reset', () => {
    expect(looks('\x1b[1;31mred\x1b[0m plain \x1b[92mbright\x1b[39m')).toEqual([
      ['red', { bold: true, fg: 1 }],
      ['bright', { fg: 10 }],
    ]);
  });

  it('knows the table of 256 colours and colours by their parts, also with colons', () => {
    expect(looks('\x1b[38;5;208mo\x1b[48;2;1;2;3mv\x1b[0m\x1b[38:5:9mx')).toEqual([
      ['o', { fg: { r: 255, g: 135, b: 0 } }],
      ['v', { fg: { r: 255, g: 135, b: 0 }, bg: { r: 1, g: 2, b: 3 } }],
      ['x', { fg: 9 }],
    ]);
  });

  it('an empty SGR is a reset, and 22 ends bold and dim', () => {
    expect(looks('\x1b[1ma\x1b[mb\x1b[1;2mc\x1b[22md')).toEqual([
      ['a', { bold: true }],
      ['c', { bold: true, dim: true }],
    ]);
  });

  it('takes out cursor moves, titles, links and other controls', () => {
    expect(plainOf('\x1b[2K\x1b]0;title\x07a\x1b]8;;javascript:alert(1)\x1b\\b\x1b]8;;\x1b\\\x00\x08c\x1b[')).toBe(
      'abc',
    );
  });

  it('survives parameters that are nonsense', () => {
    expect(parseAnsi('\x1b[38;5;999mx\x1b[38;2mmy\x1b[999999mz\x1b[38;5mq').text).toBe('xmyzq');
  });

  it('shows what a carriage return left visible', () => {
    expect(plainOf('10 %\r50 %\r100 %\r')).toBe('100 %');
  });
});

describe('readable', () => {
  const white = { r: 255, g: 255, b: 255 };
  const parts = (colour: string) => {
    const [r, g, b] = colour.match(/\d+/g)!.map(Number) as [number, number, number];
    return { r, g, b };
  };

  it('makes every colour of the table readable on light and on dark', () => {
    for (let r = 0; r <= 255; r += 51)
      for (let g = 0; g <= 255; g += 51)
        for (let b = 0; b <= 255; b += 51)
          for (const background of [white, { r: 18, g: 21, b: 26 }])
            expect(contrast(parts(readable({ r, g, b }, background)), background)).toBeGreaterThanOrEqual(4.5);
  });
});
