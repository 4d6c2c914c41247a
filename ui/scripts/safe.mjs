// Fails on what could turn untrusted text into markup or script, on inline styles in HTML, and on registry addresses.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const FORBIDDEN = [
  [/dangerouslySetInnerHTML|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write\b/, 'markup made from text'],
  [/\beval\(|new Function\(/, 'script made from text'],
  [/href=["'{`]+javascript:/i, 'a javascript: address'],
];

function* sources(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (/\.(ts|tsx|js|html)$/.test(name)) yield path;
  }
}

let found = 0;
for (const path of [...sources('src'), ...sources('public'), 'index.html']) {
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((line, at) => {
      for (const [pattern, what] of FORBIDDEN) {
        if (pattern.test(line)) {
          console.error(`${path}:${at + 1}: ${what}: ${line.trim()}`);
          found += 1;
        }
      }
    });
}
const page = readFileSync('index.html', 'utf8');
if (/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i.test(page)) {
  console.error('index.html: inline script or style; the CSP does not allow it');
  found += 1;
}
if (/"resolved"/.test(readFileSync('package-lock.json', 'utf8'))) {
  console.error('package-lock.json: it names a registry; .npmrc says omit-lockfile-registry-resolved');
  found += 1;
}
process.exit(found ? 1 : 0);
