// Says how much JavaScript the heaviest first page loads (gzipped; --all: each), and fails above the budget.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 300_000;
const built = process.env.UI_BUILT ?? '../src/airloom/api/static';
const manifest = JSON.parse(readFileSync(join(built, 'manifest.json'), 'utf8'));
const kilo = (bytes) => (bytes / 1000).toFixed(1);
const size = (file) => gzipSync(readFileSync(join(built, file)), { level: 9 }).length;

function reach(key, seen) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) reach(next, seen);
  return seen;
}

const pages = Object.keys(manifest).filter((key) => /^src\/pages\/.*Page\.tsx$/.test(key));
let worst = { bytes: 0, page: '' };
for (const page of pages) {
  const keys = reach(page, reach('index.html', new Set()));
  const total = [...keys].map((key) => manifest[key].file).filter((file) => file.endsWith('.js'));
  const bytes = total.reduce((sum, file) => sum + size(file), 0);
  if (bytes > worst.bytes) worst = { bytes, page };
  if (process.argv.includes('--all')) console.log(`${kilo(bytes).padStart(6)} kB  ${page}`);
}
console.log(`The heaviest first page, ${worst.page}, loads ${kilo(worst.bytes)} of ${BUDGET / 1000} kB of JavaScript.`);
if (worst.bytes > BUDGET) {
  console.error(`A first page may load ${BUDGET / 1000} kB of JavaScript, gzipped.`);
  process.exit(1);
}
