/** Addresses in a log's text: only http and https become links. */

export type Found = { start: number; end: number; href: string };

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\x00-\x1f\\^{|}\u200b-\u200f\u202a-\u202e]+/gi;

/** Where addresses are in the text. What closes a sentence or a bracket that was opened before is not part of one. */
export function findLinks(text: string): Found[] {
  if (!text.includes('://')) return [];
  const found: Found[] = [];
  for (const match of text.matchAll(ADDRESS)) {
    let address = match[0].replace(/[.,;:!?…*_~]+$/, '');
    for (const [open, close] of ['()', '[]']) {
      while (address.endsWith(close as string) && count(address, close as string) > count(address, open as string))
        address = address.slice(0, -1);
    }
    const href = safeHref(address);
    if (href) found.push({ start: match.index, end: match.index + address.length, href });
  }
  return found;
}

/** The address if it is one of http or https with a host; null for all else. */
function safeHref(address: string): string | null {
  try {
    const url = new URL(address);
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}

const count = (text: string, character: string) => text.split(character).length - 1;
