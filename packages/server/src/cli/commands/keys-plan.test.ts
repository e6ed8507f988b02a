/** `keyward keys plan`, against an admin server whose custodian is a table of answers. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorld, type World } from '../testing.ts';

const root = { provider: 'local', key: 'root.key', hardware: false, exportable: true };

const ANSWERS: Readonly<Record<string, unknown>> = {
  'plan-facts': {
    tenant: 'clinic',
    at: '2026-11-21T10:00:00Z',
    root,
    nextRoot: null,
    waitingMs: 604_800_000,
    mostUses: 4,
    rotateAtUses: 3,
    exhaustedAtUses: 4,
  },
  list: { keks: [{ ref: 'kek/1', state: 'active', createdAt: '2026-01-01T00:00:00Z', uses: 7 }], counts: [] },
  roles: { roles: [] },
  policy: {
    settings: [
      'approvals.needed',
      'approvals.ttlHours',
      'cryptoperiodDays.kek',
      'cryptoperiodDays.data',
      'cryptoperiodDays.root',
      'cryptoperiodDays.signing',
    ].map((name) => ({ name, value: 2 })),
  },
  backups: { backups: [] },
  drills: { drills: [] },
  destructions: [],
  holds: [],
};

function answering(world: World, answers: Readonly<Record<string, unknown>> = ANSWERS): void {
  world.keys = ({ path }) => answers[path.replace('questions/', '')];
}

test('[K12] keyward keys plan prints Markdown, HTML or JSON of one plan', async () => {
  await using world = await openWorld();
  answering(world);
  const [markdown, html, json] = [
    await world.keyward('keys', 'plan'),
    await world.keyward('keys', 'plan', '--format', 'html'),
    await world.keyward('keys', 'plan', '--json'),
  ];
  assert.deepEqual([markdown.status, html.status, json.status], [0, 0, 0]);
  assert.match(markdown.out, /^# Key Management Plan: clinic\n/);
  assert.match(markdown.out, /\| kek\/1 \| active \|/);
  assert.match(html.out, /^<!doctype html>\n/);
  assert.equal((JSON.parse(json.out) as { title: string }).title, 'Key Management Plan: clinic');
});

test('[K12] keyward keys plan --out writes a file for its owner, and none over another', async () => {
  await using world = await openWorld();
  answering(world);
  const file = join(world.directory, 'plan.md');
  const { status, out } = await world.keyward('keys', 'plan', '--out', file);
  assert.deepEqual([status, out, statSync(file).mode & 0o777], [0, '', 0o600]);
  const before = readFileSync(file, 'utf8');
  assert.match(before, /^# Key Management Plan/);
  assert.equal((await world.keyward('keys', 'plan', '--format', 'html', '--out', file)).status, 2);
  assert.equal(readFileSync(file, 'utf8'), before);
});

test('[K12] keyward keys plan refuses a format it does not know, and answers it does not understand', async () => {
  await using world = await openWorld();
  answering(world, { ...ANSWERS, list: { keks: 'none' } });
  assert.equal((await world.keyward('keys', 'plan', '--format', 'pdf')).status, 2);
  const { status, err } = await world.keyward('keys', 'plan');
  assert.equal(status, 1);
  assert.match(err, /^error: CLI_REQUEST_FAILED/);
});
