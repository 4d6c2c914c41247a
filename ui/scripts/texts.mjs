// Fails on texts that nothing shows. A key that is made at run time counts by its form: t(`state.${state}`).
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const TEXTS = 'src/texts/en';
const code = readdirSync('src', { recursive: true })
  .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('texts'))
  .map((name) => readFileSync(join('src', name), 'utf8'))
  .join('\n');
const named = new Set([...code.matchAll(/'([\w.]+)'/g)].map(([, key]) => key));
const forms = [...code.matchAll(/`([\w.]+\.)\$\{[^`}]*\}([\w.]*)`/g)].map(
  ([, start, end]) => new RegExp(`^${start.replaceAll('.', '\\.')}\\w+${end.replaceAll('.', '\\.')}$`),
);

let found = 0;
for (const file of readdirSync(TEXTS).filter((name) => name !== 'index.ts')) {
  for (const [, key] of readFileSync(join(TEXTS, file), 'utf8').matchAll(/^ {2}'([\w.]+)':/gm)) {
    if (named.has(key) || forms.some((form) => form.test(key))) continue;
    console.error(`${join(TEXTS, file)}: nothing shows '${key}'`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
