/** A line's text cut into the pieces that are drawn: each has one look, is in one link or none, in one match or none. */
import type { Look, Styled } from './ansi';
import { findLinks } from './links';

export type Range = { start: number; end: number };
export type Piece = { text: string; look: Look | null; href: string | null; match: boolean };

/** matches: in order and apart from each other. */
export function piecesOf(styled: Styled, matches: readonly Range[] = []): Piece[] {
  const { text, runs } = styled;
  const links = findLinks(text);
  const cuts = new Set([0, text.length]);
  for (const range of [...runs, ...links, ...matches]) cuts.add(range.start).add(range.end);
  const at = [...cuts].sort((a, b) => a - b);
  const pieces: Piece[] = [];
  let run = 0;
  let link = 0;
  let match = 0;
  for (let cut = 0; cut + 1 < at.length; cut += 1) {
    const start = at[cut] as number;
    const end = at[cut + 1] as number;
    while (run < runs.length && (runs[run] as Range).end <= start) run += 1;
    while (link < links.length && (links[link] as Range).end <= start) link += 1;
    while (match < matches.length && (matches[match] as Range).end <= start) match += 1;
    pieces.push({
      text: text.slice(start, end),
      look: within(runs[run], start) ? (runs[run]?.look ?? null) : null,
      href: within(links[link], start) ? (links[link]?.href ?? null) : null,
      match: within(matches[match], start),
    });
  }
  return pieces;
}

const within = (range: Range | undefined, at: number) => range !== undefined && range.start <= at && at < range.end;

/** Where `needle` is in the text, without overlap. Small and capital letters are the same unless it has a capital. */
export function findMatches(text: string, needle: string): Range[] {
  if (!needle) return [];
  const exact = needle !== needle.toLowerCase();
  const hay = exact ? text : text.toLowerCase();
  // Letters whose small form has another length would shift what follows; then only exact text is found.
  const safe = hay.length === text.length ? hay : text;
  const found: Range[] = [];
  for (let at = safe.indexOf(needle); at >= 0; at = safe.indexOf(needle, at + needle.length))
    found.push({ start: at, end: at + needle.length });
  return found;
}
