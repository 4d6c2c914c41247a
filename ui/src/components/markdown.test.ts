import { describe, expect, it } from 'vitest';
import { parseBlocks, parseInline, safeAddress } from './markdown';

describe('untrusted Markdown', () => {
  it('is blocks', () => {
    const text = '# Title\n\nFirst line\nsecond\n\n- one\n- two\n\n```\n<b>code</b>\n```\n> quoted\n\n---\n1. a\n2. b';
    expect(parseBlocks(text)).toEqual([
      { kind: 'heading', level: 1, text: 'Title' },
      { kind: 'paragraph', text: 'First line\nsecond' },
      { kind: 'list', ordered: false, items: ['one', 'two'] },
      { kind: 'code', text: '<b>code</b>' },
      { kind: 'quote', blocks: [{ kind: 'paragraph', text: 'quoted' }] },
      { kind: 'rule' },
      { kind: 'list', ordered: true, items: ['a', 'b'] },
    ]);
  });

  it('loses the indentation that it has from its Python file', () => {
    expect(parseBlocks('First\n\n    ## Second\n    text')).toEqual([
      { kind: 'paragraph', text: 'First' },
      { kind: 'heading', level: 2, text: 'Second' },
      { kind: 'paragraph', text: 'text' },
    ]);
  });

  it('is spans', () => {
    expect(parseInline('a **b** *c* `d*e*` [f](https://g.example/h) snake_case_name')).toEqual([
      { kind: 'text', text: 'a ' },
      { kind: 'strong', text: 'b' },
      { kind: 'text', text: ' ' },
      { kind: 'emphasis', text: 'c' },
      { kind: 'text', text: ' ' },
      { kind: 'code', text: 'd*e*' },
      { kind: 'text', text: ' ' },
      { kind: 'link', text: 'f', address: 'https://g.example/h', source: '[f](https://g.example/h)' },
      { kind: 'text', text: ' snake_case_name' },
    ]);
  });

  it('keeps HTML as the text that it is', () => {
    const text = '<img src=x onerror=alert(1)><script>alert(1)</script>';
    expect(parseBlocks(text)).toEqual([{ kind: 'paragraph', text }]);
    expect(parseInline(text)).toEqual([{ kind: 'text', text }]);
  });

  it.each([
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    '/relative',
    '//host',
    'file:///etc/passwd',
    'blob:x',
  ])('links nowhere with %s', (address) => {
    expect(safeAddress(address)).toBeNull();
  });

  it('links to the web and to mail', () => {
    expect(safeAddress('https://example.org/a?b#c')).toBe('https://example.org/a?b#c');
    expect(safeAddress('mailto:a@example.org')).toBe('mailto:a@example.org');
  });

  it('is read in a time that grows with its length, whatever it holds', () => {
    for (const evil of [
      '*'.repeat(20_000),
      '`'.repeat(20_000),
      '['.repeat(20_000),
      '**a'.repeat(10_000),
      '> '.repeat(10_000),
      '_a '.repeat(10_000),
      '``a'.repeat(8_000),
    ]) {
      expect(parseBlocks(evil).length).toBeGreaterThan(0);
      expect(parseInline(evil).length).toBeGreaterThan(0);
    }
  }, 5_000);
});
