import { describe, expect, it } from 'vitest';
import { parseAnsi } from './ansi';
import { findLinks } from './links';
import { findMatches, piecesOf } from './pieces';

describe('findLinks', () => {
  const found = (text: string) => findLinks(text).map(({ start, end }) => text.slice(start, end));

  it('finds http and https, without what closes the sentence', () => {
    expect(found('see https://a.example/x?y=1. Or (http://b.example/(z)), [https://c.example].')).toEqual([
      'https://a.example/x?y=1',
      'http://b.example/(z)',
      'https://c.example',
    ]);
  });

  it('makes no link of another scheme, or of one without a host', () => {
    expect(found('javascript://a.example/%0aalert(1) data:text/html,x file:///etc/passwd http:// https://')).toEqual(
      [],
    );
  });

  it('ends at quotes, brackets of markup and marks that turn the reading direction', () => {
    expect(found('<a href="https://a.example/x">y</a> https://b.example/\u202egpj')).toEqual([
      'https://a.example/x',
      'https://b.example/',
    ]);
  });
});

describe('findMatches', () => {
  it('takes capitals as they are only when there is one', () => {
    expect(findMatches('Error, error', 'error')).toHaveLength(2);
    expect(findMatches('Error, error', 'Error')).toHaveLength(1);
  });

  it('does not lose its place where small letters are longer', () => {
    expect(findMatches('İx', 'x')).toEqual([{ start: 1, end: 2 }]);
  });

  it('finds nothing for nothing', () => {
    expect(findMatches('abc', '')).toEqual([]);
  });
});

describe('piecesOf', () => {
  it('cuts at looks, links and matches, and loses no text', () => {
    const styled = parseAnsi('\x1b[31msee https://a.exa\x1b[0mmple/x now');
    const pieces = piecesOf(styled, findMatches(styled.text, 'example'));
    expect(pieces.map((piece) => piece.text).join('')).toBe(styled.text);
    expect(pieces.filter((piece) => piece.match).map((piece) => piece.text)).toEqual(['exa', 'mple']);
    expect(
      pieces
        .filter((piece) => piece.href)
        .map((piece) => piece.text)
        .join(''),
    ).toBe('https://a.example/x');
    expect(
      pieces
        .filter((piece) => piece.look)
        .map((piece) => piece.text)
        .join(''),
    ).toBe('see https://a.exa');
  });

  it('gives an empty line no pieces', () => {
    expect(piecesOf(parseAnsi(''))).toEqual([]);
  });
});
