const UNITS = ['kB', 'MB', 'GB', 'TB'];

/** A size as people read it: `812 B`, `1.4 kB`, `3.0 MB`. */
export function formatBytes(size: number): string {
  if (size < 1000) return `${size} B`;
  let at = 0;
  for (size /= 1000; size >= 999.95 && at < UNITS.length - 1; at++) size /= 1000;
  return `${size.toFixed(1)} ${UNITS[at]}`;
}
