/** A size as people read it: `812 B`, `1.4 kB`, `3.0 MB`. */
export function formatBytes(size: number): string {
  if (size < 1000) return `${size} B`;
  if (size < 999_950) return `${(size / 1000).toFixed(1)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}
