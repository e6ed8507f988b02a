/** What one key may seal: counted exactly, by whoever asks, and never more than it bears. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createKeyCache, type KeySource, type KeySpec } from '@keyward/sdk/client';
import {
  type KeyDatabase,
  OWN_KEYS,
  SPECS,
  startCustodian,
  startKeyDatabase,
  subject,
  tamperWith,
  TEST_USE,
} from './testing.ts';
import { EXHAUSTED_USES, MOST_USES } from './usage.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const usesOf = async (tenant: string, kind: string): Promise<number> => {
  const select = 'SELECT uses FROM data_key WHERE tenant = $1 AND kind = $2';
  const { rows } = await database.pool.query<{ uses: string }>(select, [tenant, kind]);
  return Number(rows[0]!.uses);
};

type Custodian = Awaited<ReturnType<typeof startCustodian>>['custodian'];

/** A process with a cache of its own. */
function processOf(custodian: Custodian) {
  const source: KeySource = {
    protect: (specs, use, seals) => custodian.protect('gateway', specs, use, seals),
    process: (ids, use) => custodian.process('gateway', ids, use),
  };
  // Subjects are stated by the custodian of the tests, behind this cache.
  const use = (specs: readonly KeySpec[]) => ({
    ...TEST_USE,
    subjects: specs.flatMap((spec) => (spec.kind === 'subject' ? [spec.subject] : [])),
  });
  const cache = createKeyCache(source, { ...OWN_KEYS, maxHandouts: 1_000_000 });
  return { seal: (specs: readonly KeySpec[], seals: readonly number[]) => cache.protect(specs, use(specs), seals) };
}

test('[K3] seals are counted before the key is handed out, exactly as they were granted', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  assert.equal(await usesOf(tenant, 'tenant'), 1);
  const [key] = await custodian.protect('gateway', [SPECS.tenant, SPECS.tenant], TEST_USE, [10, 5]);
  assert.equal(key!.seals, 10);
  assert.equal(await usesOf(tenant, 'tenant'), 16);
  await custodian.process('gateway', [key!.id], TEST_USE);
  assert.equal(await usesOf(tenant, 'tenant'), 16);
});

test('[K3] two processes count their blocks apart, across every refill, and a request larger than a block as it is', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  const [one, other] = [processOf(custodian), processOf(custodian)];
  const specs = [SPECS.tenant, subject()];
  await one.seal(specs, [1, 1]);
  await other.seal(specs, [1, 1]);
  assert.equal(await usesOf(tenant, 'tenant'), 2 * 65_536);
  for (let at = 0; at < 7; at += 1) await one.seal([SPECS.tenant], [10_000]);
  assert.equal(await usesOf(tenant, 'tenant'), 3 * 65_536);
  await other.seal([SPECS.tenant], [200_000]);
  assert.equal(await usesOf(tenant, 'tenant'), 3 * 65_536 + 200_000);
  assert.equal(await usesOf(tenant, 'subject'), 2 * 65_536);
});

test('[K3] after a crash a process starts on new blocks: counters never go back', async (context) => {
  const { custodian, tenant, restart } = await startCustodian(context, database.pool);
  await processOf(custodian).seal([SPECS.tenant], [3]);
  await processOf(await restart()).seal([SPECS.tenant], [3]);
  assert.equal(await usesOf(tenant, 'tenant'), 2 * 65_536);
});

test('[K3] a key at nine tenths of what it bears protects nothing more, still opens, and the refusal is recorded', async (context) => {
  const { custodian, tenant, ledger } = await startCustodian(context, database.pool);
  // A key of the ledger lasts a day and has no successor within it.
  const [key] = await custodian.protect('gateway', [SPECS.ledger], TEST_USE);
  await tamperWith(database.pool, tenant, `uses = ${EXHAUSTED_USES}`);
  await assert.rejects(custodian.protect('gateway', [SPECS.ledger], TEST_USE), { code: 'KEYS_EXHAUSTED' });
  assert.equal(ledger.events.at(-1)!.code, 'KEYS_EXHAUSTED');
  assert.equal(await usesOf(tenant, 'ledger'), EXHAUSTED_USES);
  assert.equal((await custodian.process('admin', [key!.id], TEST_USE))[0]!.id, key!.id);
});

test('[K3] a worn key whose rotation was missed gets a successor when it is next asked for', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  for (const share of [0.75, 0.95]) {
    const [worn] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    await tamperWith(database.pool, tenant, `uses = ${Math.ceil(share * 2 ** 32)}`, "state = 'active'");
    const [next] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    assert.notEqual(next!.id, worn!.id);
    assert.equal((await custodian.process('gateway', [worn!.id], TEST_USE))[0]!.id, worn!.id);
  }
});

test('[K3] a key that reaches three quarters of what it bears gets a successor, and nobody is refused meanwhile', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  const protect = async () => (await custodian.protect('gateway', [SPECS.tenant], TEST_USE))[0]!.id;
  const worn = await protect();
  await tamperWith(database.pool, tenant, `uses = ${0.75 * 2 ** 32 - 1}`);
  const end = performance.now() + 60_000;
  while ((await protect()) === worn) assert.ok(performance.now() < end, 'no successor in time');
  assert.equal((await custodian.process('gateway', [worn], TEST_USE))[0]!.id, worn);
});

test('[K3] one request cannot take a key past all that it bears', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  await custodian.protect('gateway', [SPECS.ledger], TEST_USE);
  const uses = EXHAUSTED_USES - 1;
  await tamperWith(database.pool, tenant, `uses = ${uses}`);
  const ask = (seals: number) => custodian.protect('gateway', [SPECS.ledger], TEST_USE, [seals]);
  await assert.rejects(ask(MOST_USES - uses + 1), { code: 'KEYS_EXHAUSTED' });
  assert.equal(await usesOf(tenant, 'ledger'), uses);
  await ask(MOST_USES - uses);
  assert.equal(await usesOf(tenant, 'ledger'), MOST_USES);
});

test('[K3] keys that only make HMACs are counted and do not wear out', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  await custodian.protect('gateway', [SPECS.index], TEST_USE);
  await tamperWith(database.pool, tenant, `uses = ${2 ** 33}`);
  await custodian.protect('gateway', [SPECS.index], TEST_USE, [7]);
  assert.equal(await usesOf(tenant, 'index'), 2 ** 33 + 7);
});

test('[K3] many at once, in any order, are counted to the last one and do not lock each other out', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  const specs = [SPECS.tenant, SPECS.cursor, subject(), subject()];
  const rounds = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? specs : specs.toReversed()));
  await Promise.all(rounds.map((each) => custodian.protect('gateway', each, TEST_USE, [3, 3, 3, 3])));
  assert.equal(await usesOf(tenant, 'tenant'), 120);
  assert.equal(await usesOf(tenant, 'cursor'), 120);
});
