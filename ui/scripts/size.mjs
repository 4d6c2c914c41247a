// Says how much JavaScript the first page loads (gzipped), and fails above the budget.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 300_000;
const built = '../src/airloom/api/static';
const manifest = JSON.parse(readFileSync(join(built, 'manifest.json'), 'utf8'));
const size = (file) => gzipSync(readFileSync(join(built, file)), { level: 9 }).length;

function reach(key, seen) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) reach(next, seen);
  return seen;
}

const pages = Object.keys(manifest).filter((key) => /^src\/pages\/.*Page\.tsx$/.test(key));
let worst = 0;
for (const page of pages) {
  const keys = reach(page, reach('index.html', new Set()));
  const total = [...keys].map((key) => manifest[key].file).filter((file) => file.endsWith('.js'));
  const bytes = total.reduce((sum, file) => sum + size(file), 0);
  worst = Math.max(worst, bytes);
  console.log(`${(bytes / 1000).toFixed(1).padStart(7)} kB  ${page}`);
}
if (worst > BUDGET) {
  console.error(`A first page may load ${BUDGET / 1000} kB of JavaScript, gzipped.`);
  process.exit(1);
}
