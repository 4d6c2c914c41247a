// Writes src/api/schema.ts anew from the API's OpenAPI document (of the server's code; no server need run).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const python = process.env.PYTHON ?? '../.venv/bin/python';
const folder = mkdtempSync(join(tmpdir(), 'airloom-types-'));
try {
  const document = join(folder, 'openapi.json');
  const text = execFileSync(python, ['-m', 'airloom.api.document'], { maxBuffer: 64 << 20 });
  writeFileSync(document, text);
  const options = ['-o', 'src/api/schema.ts', '--root-types', '--root-types-no-schema-prefix'];
  execFileSync('node_modules/.bin/openapi-typescript', [document, ...options], { stdio: 'inherit' });
  // tests/api/test_document.py sees by it whether the types are of the API as it is.
  appendFileSync('src/api/schema.ts', `\n// document: ${createHash('sha256').update(text).digest('hex')}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
