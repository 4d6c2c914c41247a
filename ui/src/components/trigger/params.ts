/** Params and their JSON Schemas as fields of a form: what kind of field, its text, and the value that a text means. */
import { t } from '@/texts';

export type Schema = Record<string, unknown>;
/** A param as the API gives it. Without `value` there is no default: a value has to be given. */
export type Param = { value?: unknown; schema?: Schema };
export type FieldKind = 'text' | 'lines' | 'number' | 'boolean' | 'choice' | 'date' | 'time' | 'moment' | 'json';
export type Field = {
  name: string;
  kind: FieldKind;
  label: string;
  description: string | null;
  required: boolean;
  nullable: boolean;
  /** The text that the field begins with. */
  initial: string;
  hasDefault: boolean;
  choices: readonly { value: string; label: string }[];
  schema: Schema;
};
/** The value of a text, or what is wrong with the text. */
export type Parsed = { value: unknown } | { problem: string };

const typesOf = (schema: Schema): string[] =>
  Array.isArray(schema.type) ? schema.type.map(String) : schema.type === undefined ? [] : [String(schema.type)];

function typeOfValue(value: unknown): string {
  if (value === null || value === undefined) return 'any';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function kindOf(schema: Schema, types: readonly string[], value: unknown): FieldKind {
  if (Array.isArray(schema.enum)) return 'choice';
  const named = types.filter((type) => type !== 'null');
  if (named.length > 1) return 'json';
  const type = named[0] ?? typeOfValue(value);
  if (type === 'boolean') return 'boolean';
  // A default such as 3 says little about what else may be given: without a type any JSON may.
  if (named.length === 0) return type === 'string' ? 'text' : 'json';
  if (type === 'integer' || type === 'number') return 'number';
  if (type !== 'string') return 'json';
  const kinds: Record<string, FieldKind> = { date: 'date', time: 'time', 'date-time': 'moment', multiline: 'lines' };
  return kinds[String(schema.format)] ?? (typeof value === 'string' && value.includes('\n') ? 'lines' : 'text');
}

/** `2026-03-01T10:00:00Z` as what an input of the kind datetime-local holds, in the zone of who looks. */
function toLocal(moment: string): string {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime())) return '';
  const pad = (value: number) => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

function textOf(kind: FieldKind, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (kind === 'json' || kind === 'choice' || kind === 'boolean') {
    const line = JSON.stringify(value);
    return kind === 'json' && line.length > 60 ? JSON.stringify(value, null, 1) : line;
  }
  return kind === 'moment' ? toLocal(String(value)) : String(value);
}

/** The field of a param. */
export function fieldOf(name: string, param: Param): Field {
  const schema = param.schema ?? {};
  const types = typesOf(schema);
  const kind = kindOf(schema, types, param.value);
  const hasDefault = 'value' in param;
  const nullable = types.includes('null') || (Array.isArray(schema.enum) && schema.enum.includes(null));
  const choices = kind === 'choice' ? (schema.enum as unknown[]).filter((value) => value !== null) : [];
  return {
    name,
    kind,
    label: typeof schema.title === 'string' && schema.title ? schema.title : name,
    description: typeof schema.description === 'string' ? schema.description : null,
    required: !hasDefault && !nullable,
    nullable,
    initial: textOf(kind, param.value),
    hasDefault,
    choices: choices.map((value) => ({
      value: JSON.stringify(value),
      label: typeof value === 'string' ? value : JSON.stringify(value),
    })),
    schema,
  };
}

/** The fields of all params; first those without which there is no run. */
export function fieldsOf(params: Record<string, Param>): Field[] {
  const fields = Object.entries(params).map(([name, param]) => fieldOf(name, param));
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
}

const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function checkNumber(schema: Schema, value: number): string | null {
  const limits = [
    ['minimum', (limit: number) => value < limit, 'param.minimum'],
    ['maximum', (limit: number) => value > limit, 'param.maximum'],
    ['exclusiveMinimum', (limit: number) => value <= limit, 'param.above'],
    ['exclusiveMaximum', (limit: number) => value >= limit, 'param.below'],
  ] as const;
  for (const [name, broken, key] of limits) {
    const limit = numberOf(schema[name]);
    if (limit !== null && broken(limit)) return t(key, { limit });
  }
  return null;
}

function checkText(schema: Schema, text: string): string | null {
  const shortest = numberOf(schema.minLength);
  const longest = numberOf(schema.maxLength);
  const length = [...text].length;
  if (shortest !== null && length < shortest) return t('param.minLength', { count: shortest });
  if (longest !== null && length > longest) return t('param.maxLength', { count: longest });
  if (typeof schema.pattern === 'string') {
    try {
      if (!new RegExp(schema.pattern, 'u').test(text)) return t('param.pattern', { pattern: schema.pattern });
    } catch {
      // A pattern that only Python understands; the server looks at it.
    }
  }
  return null;
}

function parseJson(field: Field, text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: t('param.json', { detail: error instanceof Error ? error.message : String(error) }) };
  }
  const types = typesOf(field.schema);
  if (types.length === 1 && types[0] === 'array' && !Array.isArray(value)) return { problem: t('param.array') };
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (types.length === 1 && types[0] === 'object' && !isObject)
    return { problem: t('param.object', { example: '{"a": 1}' }) };
  if (Array.isArray(value)) {
    const fewest = numberOf(field.schema.minItems);
    const most = numberOf(field.schema.maxItems);
    if (fewest !== null && value.length < fewest) return { problem: t('param.minItems', { count: fewest }) };
    if (most !== null && value.length > most) return { problem: t('param.maxItems', { count: most }) };
  }
  return { value };
}

/** The value that a text in a field means. The server has the last word: it knows all of JSON Schema. */
export function parse(field: Field, text: string): Parsed {
  const isText = field.kind === 'text' || field.kind === 'lines';
  if (text.trim() === '' && field.nullable) return { value: null };
  if (text.trim() === '' && (field.required || !isText)) {
    return { problem: t('param.required') };
  }
  switch (field.kind) {
    case 'number': {
      const value = Number(text);
      const whole = typesOf(field.schema).includes('integer');
      if (!Number.isFinite(value)) return { problem: t(whole ? 'param.integer' : 'param.number') };
      if (whole && !Number.isInteger(value)) return { problem: t('param.integer') };
      const problem = checkNumber(field.schema, value);
      return problem ? { problem } : { value };
    }
    case 'boolean':
    case 'choice':
      return { value: JSON.parse(text) };
    case 'json':
      return parseJson(field, text);
    case 'moment': {
      const at = new Date(text);
      return Number.isNaN(at.getTime()) ? { problem: t('param.date') } : { value: at.toISOString() };
    }
    default: {
      const problem = checkText(field.schema, text);
      return problem ? { problem } : { value: text };
    }
  }
}

/** The conf of a run from the texts of a form: what differs from the defaults, and what has none. */
export function confOf(
  fields: readonly Field[],
  texts: Record<string, string>,
): { conf: Record<string, unknown>; problems: Record<string, string> } {
  const conf: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  for (const field of fields) {
    const text = texts[field.name] ?? field.initial;
    if (field.hasDefault && text === field.initial) continue;
    const parsed = parse(field, text);
    if ('problem' in parsed) problems[field.name] = parsed.problem;
    else conf[field.name] = parsed.value;
  }
  return { conf, problems };
}
