import { describe, expect, it } from 'vitest';
import { colour } from './python';

const kinds = (source: string) =>
  colour(source.split('\n')).map((line) =>
    line.filter((piece) => piece.kind !== 'plain').map((piece) => `${piece.kind}:${piece.text}`),
  );

describe('colouring of Python', () => {
  it('knows keywords, names, numbers, decorators, comments', () => {
    expect(kinds('@task(retries=2)\ndef load(x):  # a "note"\n    return x + 0x1F')).toEqual([
      ['decorator:@task', 'number:2'],
      ['keyword:def', 'name:load', 'comment:# a "note"'],
      ['keyword:return', 'number:0x1F'],
    ]);
  });
  it('knows strings with quotes, prefixes and escapes in them', () => {
    expect(kinds(`a = f"say \\"hi\\" # no comment" + r'x'`)).toEqual([
      ['string:f"say \\"hi\\" # no comment"', "string:r'x'"],
    ]);
  });
  it('carries a string over lines to its end', () => {
    expect(kinds('"""one\ndef two\n"""; pass')).toEqual([
      ['string:"""one'],
      ['string:def two'],
      ['string:"""', 'keyword:pass'],
    ]);
  });
  it('does not take a name for a soft keyword', () => {
    expect(kinds('x = re.match(y)\nmatch x:')).toEqual([[], ['keyword:match']]);
  });
  it('loses and adds no character of any text', () => {
    const odd = [
      '<script>alert(1)</script>',
      "'unclosed",
      'f"{x!r:>{w}}"',
      '\\',
      '@',
      '1..real',
      '\t"""',
      'é = "ü"',
      '1e5j + 0b1',
    ];
    expect(colour(odd).map((line) => line.map((piece) => piece.text).join(''))).toEqual(odd);
  });
});
