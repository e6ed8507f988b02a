/** Files that survive a loss of power: whole, under their name, and never in the place of another by mistake. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { writeDurably } from './durable.ts';

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-durable-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const content = new Uint8Array(100_000).fill(7);

test('[S1] a file is written whole under its mode, and nothing is left beside it', (context) => {
  const folder = folderFor(context);
  const file = join(folder, 'a');
  writeDurably({ file, content, mode: 0o600, replace: false });
  assert.deepEqual(readFileSync(file), Buffer.from(content));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['a']);
});

test('[S1] what is there is replaced only by who says so', (context) => {
  const folder = folderFor(context);
  const file = join(folder, 'a');
  writeFileSync(file, 'first');
  writeDurably({ file, content, mode: 0o600, replace: false });
  assert.equal(readFileSync(file, 'utf8'), 'first');
  writeDurably({ file, content, mode: 0o600, replace: true });
  assert.deepEqual(readFileSync(file), Buffer.from(content));
  writeDurably({ file, content: new Uint8Array(), mode: 0o600, replace: true });
  assert.equal(statSync(file).size, 0);
  assert.deepEqual(readdirSync(folder), ['a']);
});
