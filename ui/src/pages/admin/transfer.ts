/** Variables as a JSON file: read and checked before anything is changed. */

export type Read = { values: Record<string, string>; error: null } | { values: null; error: string };

/** The variables in a JSON text: an object of keys and values; what is no text is kept as JSON. error: what JSON.parse says, or '' where it is no object. */
export function readVariables(text: string): Read {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return { values: null, error: (error as Error).message };
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return { values: null, error: '' };
  const values = Object.entries(data).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return { values: Object.fromEntries(values) as Record<string, string>, error: null };
}

/** Has the browser save a text as a file. */
export function saveAs(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The JSON object in a text; an empty text is an empty one. A sentence of what is wrong, else. */
export function readObject(text: string): { value: Record<string, unknown> } | { wrong: string } {
  if (!text.trim()) return { value: {} };
  const read = readVariables(text);
  if (read.error !== null) return { wrong: read.error };
  return { value: JSON.parse(text) as Record<string, unknown> };
}
