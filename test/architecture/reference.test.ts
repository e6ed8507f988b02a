/** Keeps the error table, its uses and the generated reference pages equal. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRORS } from '../../packages/server/src/core/index.ts';
import { REFERENCE_PAGES } from '../../tools/reference.ts';

const ROOT = join(import.meta.dirname, '../..');
const sources = ['packages/server/src', 'packages/sdk/src'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('core/errors.ts'))
    .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
);

test('[S1] every code of the error table is used somewhere', () => {
  const unused = Object.keys(ERRORS).filter((code) => !sources.some((text) => text.includes(`'${code}'`)));
  assert.deepEqual(unused, []);
});

test('[S1] every error says what to do next, and its text ends like a sentence', () => {
  for (const [code, { text, hint, status }] of Object.entries(ERRORS)) {
    assert.match(text, /\.$/, code);
    assert.match(hint, /\.$/, code);
    assert.ok(status >= 400 && status < 600, code);
  }
});

for (const [file, render] of Object.entries(REFERENCE_PAGES)) {
  test(`[S1] docs/reference/${file} is what the source generates`, () => {
    assert.equal(readFileSync(join(ROOT, 'docs/reference', file), 'utf8'), render(), 'run "npm run generate"');
  });
}
