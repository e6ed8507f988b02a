import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEvent } from '../../core/index.ts';
import type { LedgerEntry, TailQuery } from '../../ledger/index.ts';
import { openWorld } from '../testing.ts';

const ID = '0b6f6f2e-3c1b-4f0a-9a53-2f9d7d7d1c11';

function entry(position: bigint, change: Partial<AuditEvent> = {}): LedgerEntry {
  const clear = { id: ID, at: new Date('2026-01-02T03:04:05Z'), class: change.class ?? 'disclosure' } as const;
  const actor = { sub: 'dev-clinician', role: 'clinician' };
  const what = {
    interaction: 'read',
    resources: ['Patient/1', 'Claim/2'],
    decision: 'permit',
    rule: 'clinician-care',
  } as const;
  const event = { ...clear, tenant: 'default', correlationId: ID, actor, ...what, ...change };
  return { ...clear, position, leafHash: '00', intact: true, event };
}

test('[L1] ledger tail prints one line per entry', async () => {
  await using world = await openWorld();
  let asked: TailQuery | undefined;
  world.tail = (query) => ((asked = query), [entry(4n), { ...entry(5n), intact: false }]);
  const { out, status } = await world.keyward(
    'ledger',
    'tail',
    '--limit',
    '2',
    '--class',
    'disclosure',
    '--correlation',
    ID,
  );
  assert.equal(status, 0);
  assert.deepEqual(asked, { limit: 2, class: 'disclosure', correlationId: ID });
  assert.equal(
    out,
    [
      '     4  2026-01-02T03:04:05.000Z  disclosure     dev-clinician (clinician)  read  Patient/1 +1  permit  clinician-care\n',
      '     5  2026-01-02T03:04:05.000Z  disclosure     NOT INTACT: the stored bytes are not those that were recorded\n',
    ].join(''),
  );
});

test('[L1] ledger tail --json prints entries as they are', async () => {
  await using world = await openWorld();
  world.tail = () => [entry(4n)];
  const { out } = await world.keyward('ledger', 'tail', '--json');
  assert.equal((JSON.parse(out) as { position: string }).position, '4');
});

test('[L1] ledger tail --follow goes on behind the last entry until Ctrl-C', { timeout: 10_000 }, async () => {
  await using world = await openWorld();
  const asked: TailQuery[] = [];
  world.tail = (query) => {
    asked.push(query);
    if (asked.length === 3) setImmediate(() => world.interrupt());
    return asked.length === 3 ? [] : [entry((query.after ?? 0n) + 7n)];
  };
  const { out, status } = await world.keyward('ledger', 'tail', '--follow', '--limit', '5');
  assert.equal(status, 0);
  assert.deepEqual(asked, [
    { limit: 5, settled: true },
    { limit: 1000, after: 7n },
    { limit: 1000, after: 14n },
  ]);
  assert.equal(out.split('\n').length, 3);
});

test('[L1] ledger tail --follow repeats at once while pages are full', { timeout: 30_000 }, async () => {
  await using world = await openWorld();
  const fullPages = 8;
  let asked = 0;
  world.tail = ({ limit, after = 0n }) => {
    asked += 1;
    if (asked > fullPages) setImmediate(() => world.interrupt());
    return asked > fullPages ? [] : Array.from({ length: limit }, (_entry, index) => entry(after + BigInt(index + 1)));
  };
  const startedMs = performance.now();
  const { out } = await world.keyward('ledger', 'tail', '--follow', '--limit', '1000');
  // Each pause would take a second.
  assert.ok(performance.now() - startedMs < fullPages * 1000);
  assert.equal(out.split('\n').length - 1, fullPages * 1000);
});

test('[L1] ledger tail --follow leaves out what its own polls recorded, and nothing else', async () => {
  await using world = await openWorld();
  const reading = { class: 'admin', interaction: 'ledger.entries', resources: [] } as const;
  const own = { ...reading, actor: { sub: 'dev-auditor', role: 'auditor' } };
  const kept = [
    { ...own, actor: { sub: 'dev-admin', role: 'admin' } },
    { ...own, class: 'denial', decision: 'deny' },
    { ...own, interaction: 'store.at-rest' },
  ] as const;
  world.tail = () => {
    setImmediate(() => world.interrupt());
    return [own, ...kept, own].map((change, index) => entry(BigInt(index + 1), change));
  };
  const { out } = await world.keyward('ledger', 'tail', '--follow');
  assert.deepEqual(positionsIn(out), ['2', '3', '4']);
  assert.deepEqual(positionsIn((await world.keyward('ledger', 'tail')).out), ['1', '2', '3', '4', '5']);
});

const positionsIn = (out: string) => [...out.matchAll(/^ +(\d+) /gm)].map(([, position]) => position);

test('[A3] a refusal of the admin API keeps its code', async () => {
  await using world = await openWorld();
  const { status, err } = await world.keyward('ledger', 'tail', '--class', 'everything');
  assert.equal(status, 1);
  assert.match(err, /^error: ADMIN_QUERY_INVALID /);
});
