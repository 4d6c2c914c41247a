/** A small part of Markdown as data. It never fails: what it does not understand stays text. */

export type Block =
  | { kind: 'heading'; level: number; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'list'; ordered: boolean; items: string[] }
  | { kind: 'rule' }
  | { kind: 'paragraph'; text: string };
export type Span =
  | { kind: 'text' | 'code' | 'strong' | 'emphasis'; text: string }
  | { kind: 'link'; text: string; address: string; source: string };

const ITEM = /^ {0,3}(?:[-*+]|(\d{1,9})[.)]) +(.*)$/;
const DEEPEST = 5;

/** Python's docs are indented with their code: what all lines begin with is taken away. */
function dedent(text: string): string[] {
  const lines = text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n');
  const depths = lines
    .slice(1)
    .filter((line) => line.trim())
    .map((line) => line.length - line.trimStart().length);
  const depth = depths.length ? Math.min(...depths) : 0;
  return lines.map((line, at) => (at === 0 ? line.trimStart() : line.slice(depth)));
}

/** The blocks of a text. */
export function parseBlocks(text: string, deep = 0): Block[] {
  const lines = deep === 0 ? dedent(text) : text.split('\n');
  const blocks: Block[] = [];
  let at = 0;
  const takeWhile = (fits: (line: string) => boolean): string[] => {
    const taken: string[] = [];
    while (at < lines.length && fits(lines[at]!)) taken.push(lines[at++]!);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at]!;
    const fence = /^ {0,3}(```+|~~~+)/.exec(line)?.[1];
    const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) {
      at += 1;
      const code = takeWhile((each) => !each.trim().startsWith(fence));
      at += 1;
      blocks.push({ kind: 'code', text: code.join('\n') });
    } else if (heading) {
      at += 1;
      blocks.push({ kind: 'heading', level: heading[1]!.length, text: heading[2]! });
    } else if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) {
      at += 1;
      blocks.push({ kind: 'rule' });
    } else if (/^ {4}/.test(line) || line.startsWith('|')) {
      // Tables keep their columns in a fixed pitch.
      const fits = line.startsWith('|') ? (each: string) => each.startsWith('|') : (each: string) => /^ {4}/.test(each);
      blocks.push({
        kind: 'code',
        text: takeWhile(fits)
          .map((each) => each.replace(/^ {4}/, ''))
          .join('\n'),
      });
    } else if (/^ {0,3}>/.test(line) && deep < DEEPEST) {
      const inner = takeWhile((each) => /^ {0,3}>/.test(each)).map((each) => each.replace(/^ {0,3}> ?/, ''));
      blocks.push({ kind: 'quote', blocks: parseBlocks(inner.join('\n'), deep + 1) });
    } else if (ITEM.test(line)) {
      const ordered = ITEM.exec(line)![1] !== undefined;
      const items: string[] = [];
      while (at < lines.length && lines[at]!.trim()) {
        const item = ITEM.exec(lines[at]!);
        if (item) items.push(item[2]!);
        else items.push(`${items.pop() ?? ''} ${lines[at]!.trim()}`);
        at += 1;
      }
      blocks.push({ kind: 'list', ordered, items });
    } else {
      const first = lines[at++]!;
      const rest = takeWhile(
        (each) => each.trim() !== '' && !/^ {0,3}(#{1,6}\s|```|~~~|>)/.test(each) && !ITEM.test(each),
      );
      blocks.push({ kind: 'paragraph', text: [first, ...rest].join('\n') });
    }
  }
  return blocks;
}

const SPANS =
  /(`+)([^`]|[^`][^]*?[^`])\1(?!`)|\*\*(\S(?:[^*]*\S)?)\*\*|(?<![\w*])[*_](\S(?:[^*_]*\S)?)[*_](?![\w*])|\[([^\]\n]{1,500})\]\(([^\s()]{1,2000})\)|(https?:\/\/[^\s<>"'`]{1,2000}[^\s<>"'`.,;:!?)\]])/g;

/** The spans of a line or paragraph. */
export function parseInline(text: string): Span[] {
  const spans: Span[] = [];
  let last = 0;
  for (const found of text.matchAll(SPANS)) {
    if (found.index > last) spans.push({ kind: 'text', text: text.slice(last, found.index) });
    last = found.index + found[0].length;
    const [source, , code, strong, emphasis, label, address, bare] = found;
    if (code !== undefined) spans.push({ kind: 'code', text: code });
    else if (strong !== undefined) spans.push({ kind: 'strong', text: strong });
    else if (emphasis !== undefined) spans.push({ kind: 'emphasis', text: emphasis });
    else spans.push({ kind: 'link', text: label ?? bare ?? '', address: address ?? bare ?? '', source });
  }
  if (last < text.length) spans.push({ kind: 'text', text: text.slice(last) });
  return spans;
}

/** The address, if a link may go there; null for javascript:, data: and whatever else is not plainly a place. */
export function safeAddress(address: string): string | null {
  try {
    const parsed = new URL(address);
    return ['http:', 'https:', 'mailto:'].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}
