/** The texts of the UI, by key: `t('dags.count', { count: 3 })`. Languages are added beside `en`. */
import { en } from './en';

type Catalogue = typeof en;
export type TextKey = keyof Catalogue;
type Names<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type Plural = { one: string; other: string };
type ParamNames<E> = E extends Plural ? Names<E['one'] | E['other']> | 'count' : Names<E>;
type Values<K extends TextKey> = { [N in ParamNames<Catalogue[K]>]: string | number };
type Rest<K extends TextKey> = [ParamNames<Catalogue[K]>] extends [never] ? [] : [values: Values<K>];

/** The keys of texts without parameters. */
export type PlainKey = { [K in TextKey]: [ParamNames<Catalogue[K]>] extends [never] ? K : never }[TextKey];

const language = 'en';
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);

/** A number as people read it. */
export const formatNumber = (value: number): string => numbers.format(value);

/** The text of a key, with `{name}` filled in. An entry { one, other } is chosen by `count`. */
export function t<K extends TextKey>(key: K, ...[values]: Rest<K>): string {
  const entry: string | Plural = en[key];
  const given = (values ?? {}) as Record<string, string | number>;
  const text =
    typeof entry === 'string' ? entry : plurals.select(Number(given.count)) === 'one' ? entry.one : entry.other;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = given[name];
    return typeof value === 'number' ? formatNumber(value) : String(value ?? '');
  });
}

/** The text of a key that is made at run time (`'state.' + state`); null if there is none. */
export function textOf(key: string): string | null {
  const entry = (en as Record<string, string | Plural>)[key];
  return typeof entry === 'string' ? entry : null;
}
