/** Splits Python source into coloured pieces, well enough to read it by. Pure: text in, text pieces out, never markup. */

export type Kind = 'plain' | 'comment' | 'string' | 'number' | 'keyword' | 'name' | 'decorator';
export type Piece = { kind: Kind; text: string };

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break case class continue def del elif else except finally for from global if ' +
    'import in is lambda match nonlocal not or pass raise return try type while with yield'
  ).split(' '),
);
/** Soft keywords colour only where a statement begins with them. */
const SOFT = new Set(['case', 'match', 'type']);
const TOKEN =
  /(#.*)|((?:[rbfutRBFUT]{1,2})?(?:"""|'''))|((?:[rbfutRBFUT]{1,2})?(?:"(?:\\.|[^"\\])*(?:"|\\?$)|'(?:\\.|[^'\\])*(?:'|\\?$)))|(@[\w.]+)|(\b0[xob][\da-f_]+\b|\b\d[\d_]*\.?[\d_]*(?:e[+-]?\d+)?j?\b)|([^\W\d]\w*)/gi;

/** The pieces of each line. A string over several lines is known as one. */
export function colour(lines: readonly string[]): Piece[][] {
  let open: string | null = null;
  return lines.map((line) => {
    const pieces: Piece[] = [];
    const put = (kind: Kind, text: string) => {
      if (!text) return;
      const last = pieces.at(-1);
      if (last?.kind === kind) last.text += text;
      else pieces.push({ kind, text });
    };
    let at = 0;
    let defines = false;
    while (at < line.length) {
      if (open) {
        const end = closing(line, at, open);
        put('string', line.slice(at, end ?? line.length));
        at = end ?? line.length;
        if (end !== null) open = null;
        continue;
      }
      TOKEN.lastIndex = at;
      const found = TOKEN.exec(line);
      if (!found) {
        put('plain', line.slice(at));
        break;
      }
      put('plain', line.slice(at, found.index));
      const [text, comment, triple, string, decorator, number] = found;
      at = found.index + text.length;
      if (comment !== undefined) put('comment', text);
      else if (triple !== undefined) {
        put('string', text);
        open = triple.slice(-3);
      } else if (string !== undefined) put('string', text);
      else if (decorator !== undefined) put(line.slice(0, found.index).trim() === '' ? 'decorator' : 'plain', text);
      else if (number !== undefined) put('number', text);
      else if (KEYWORDS.has(text) && !(SOFT.has(text) && !/^\s*$/.test(line.slice(0, found.index)))) {
        put('keyword', text);
        defines = text === 'def' || text === 'class';
        continue;
      } else put(defines ? 'name' : 'plain', text);
      defines = false;
    }
    return pieces;
  });
}

function closing(line: string, from: number, quote: string): number | null {
  for (let at = from; at < line.length; at += 1) {
    if (line[at] === '\\') at += 1;
    else if (line.startsWith(quote, at)) return at + quote.length;
  }
  return null;
}
