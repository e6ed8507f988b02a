/** What a rehearsal that was killed left behind. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dataPaths } from '../core/index.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { removeStale } from './rehearsal-folder.ts';

test('[K8] the next rehearsal removes what a killed one left, and nothing that runs or is not a rehearsal', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-stale-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [killed, running, other] = ['keyward-drill-a', 'keyward-drill-b', 'else'].map((name) => join(folder, name));
  for (const path of [killed!, running!, other!]) {
    mkdirSync(path);
    writeFileSync(join(path, 'something'), 'left');
  }
  const lock = await lockDataDirectory(dataPaths(running!));
  context.after(() => lock.close());
  await removeStale(folder);
  assert.deepEqual(
    [killed, running, other].map((path) => existsSync(path!)),
    [false, true, true],
  );
});
