/** Keys per second and principal: by a clock that stands still, and by a custodian. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRateLimit } from './rate-limit.ts';
import { type KeyDatabase, SPECS, startCustodian, startKeyDatabase, TEST_USE } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

test('[K6] a bucket gives its burst at once, then what flows in, and says when there is enough', () => {
  let nowMs = 0;
  const limit = createRateLimit({ perSecond: 10, burst: 20 }, () => nowMs);
  const take = (keys: number) => limit.take({ caller: 'gateway', actor: 'a', issuer: 'i' }, keys);
  assert.equal(take(15), undefined);
  assert.equal(take(5), undefined);
  assert.deepEqual(take(4), { waitMs: 400, refusals: 1 });
  nowMs = 399;
  assert.deepEqual(take(4), { waitMs: 1, refusals: 2 });
  nowMs = 400;
  assert.equal(take(4), undefined);
  nowMs = 60_000;
  assert.equal(take(20), undefined);
  assert.deepEqual(take(1), { waitMs: 100, refusals: 1 });
});

test('[K6] each process, person and issuer has a bucket of its own', () => {
  const limit = createRateLimit({ perSecond: 1, burst: 1 }, () => 0);
  const principals = [
    { caller: 'gateway', actor: 'a', issuer: 'i' },
    { caller: 'gateway', actor: 'b', issuer: 'i' },
    { caller: 'gateway', actor: 'a', issuer: 'j' },
    { caller: 'store', actor: 'a', issuer: 'i' },
    { caller: 'gateway' },
  ] as const;
  for (const principal of principals) assert.equal(limit.take(principal, 1), undefined);
  for (const principal of principals) assert.equal(limit.take(principal, 1)?.refusals, 1);
});

test('[K6] no more than ten thousand buckets are remembered; who asked last is', () => {
  const burst = 10_000;
  const limit = createRateLimit({ perSecond: 1, burst }, () => 0);
  for (let at = 0; at <= 10_000; at += 1) limit.take({ caller: 'gateway', actor: `a${at}` }, 1);
  assert.equal(limit.take({ caller: 'gateway', actor: 'a10000' }, burst)?.refusals, 1);
  assert.equal(limit.take({ caller: 'gateway', actor: 'a0' }, burst), undefined);
});

test('[K6] a process that invents a person for each call gets as much as ten, and no other process less for it', () => {
  const limit = createRateLimit({ perSecond: 1, burst: 2 }, () => 0);
  const given = Array.from({ length: 100 }, (_, at) => limit.take({ caller: 'gateway', actor: `a${at}` }, 2));
  assert.equal(given.filter((shortage) => shortage === undefined).length, 10);
  assert.deepEqual(given.at(-1), { waitMs: 200, refusals: 90 });
  assert.equal(limit.take({ caller: 'store', actor: 'a99' }, 2), undefined);
});

test('[K6] whoever asks for too many keys is refused, and recorded once until he has been quiet', async (context) => {
  const { restart, ledger, tenant } = await startCustodian(context, database.pool);
  let nowMs = 0;
  const custodian = await restart({ rateLimit: { perSecond: 1, burst: 3, now: () => nowMs } });
  const ask = () => custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const denials = () => ledger.events.filter(({ code }) => code === 'KEYS_RATE_LIMITED');
  const refused = { code: 'KEYS_RATE_LIMITED', retryAfterSeconds: 1 };
  for (const _ of [1, 2, 3]) await ask();
  for (const _ of [1, 2, 3]) await assert.rejects(ask(), refused);
  assert.equal(denials().length, 1);
  assert.deepEqual(
    [denials()[0]?.actor.sub, denials()[0]?.decision, denials()[0]?.tenant],
    ['clinician-7', 'deny', tenant],
  );
  nowMs = 1000;
  await ask();
  await assert.rejects(ask(), refused);
  assert.equal(denials().length, 1);
  nowMs = 10_000;
  for (const _ of [1, 2, 3]) await ask();
  await assert.rejects(ask(), refused);
  assert.equal(denials().length, 2);
  assert.equal((await custodian.protect('gateway', [SPECS.tenant], { ...TEST_USE, actor: 'clinician-8' })).length, 1);
});
