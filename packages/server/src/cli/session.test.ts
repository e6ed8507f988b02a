import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeInstance } from './instance.ts';
import { tokenSource } from './session.ts';
import { openWorld } from './testing.ts';

test('[A1] a token is minted once per role, and again before it ends', async () => {
  let nowMs = 0;
  const minted: string[] = [];
  const tokenOf = tokenSource({ now: () => new Date(nowMs) }, async (role) => `${role}-${minted.push(role)}`);
  assert.equal(await tokenOf('clinician'), 'clinician-1');
  assert.equal(await tokenOf('billing'), 'billing-2');
  nowMs = 239_999;
  assert.equal(await tokenOf('clinician'), 'clinician-1');
  nowMs = 240_000;
  assert.equal(await tokenOf('clinician'), 'clinician-3');
});

test('[S1] the file that a killed instance left behind is no running instance', async () => {
  await using world = await openWorld({ running: false });
  const neverAPid = 0x7fff_ffff;
  writeInstance(world.paths, {
    pid: neverAPid,
    gatewayUrl: 'https://localhost:1',
    adminUrl: 'https://localhost:2',
    ready: true,
  });
  const { status, err } = await world.keyward('ledger', 'tail');
  assert.equal(status, 3);
  assert.match(err, /^error: CLI_NOT_READY /);
});
