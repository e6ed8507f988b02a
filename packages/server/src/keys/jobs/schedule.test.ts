/** The schedule on a real database: what is due is done once, by whoever leads, and by a clock that does not go back. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, newUuid } from '../../core/index.ts';
import type { Custodian, CustodianOptions } from '../custodian.ts';
import { DAY_MS, type KeyDatabase, startCustodian, startKeyDatabase, subject, TEST_USE } from '../testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

/** The most that a key may protect (NIST SP 800-38D, section 8.3). */
const MOST_USES = 2 ** 32;

const TIMING: NonNullable<CustodianOptions['timing']> = {
  pollMs: 10,
  tickMs: 20,
  beatMs: 20,
  aliveMs: 60_000,
  dutyShare: 1,
};

/** A clock that a test can turn. */
function turnable(): Clock & { byMs: number } {
  const clock = { byMs: 0, now: () => new Date(Date.now() + clock.byMs) };
  return clock;
}

/** So many custodians of one tenant, on one clock; their jobs and schedules run. */
async function start(context: TestContext, count: number, changes: Partial<CustodianOptions> = {}) {
  const { tenant, ledger, restart } = await startCustodian(context, database.pool);
  const clock = turnable();
  const custodians: Custodian[] = [];
  for (let index = 0; index < count; index++) custodians.push(await restart({ timing: TIMING, clock, ...changes }));
  for (const { jobs } of custodians) {
    jobs.start();
    context.after(() => jobs.close());
  }
  const alarms = () => ledger.events.filter(({ class: name }) => name === 'key.alarm').map(({ code }) => code);
  return { tenant, ledger, clock, custodians, custodian: custodians[0]!, alarms };
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await sleep(10);
}

const query = async <Row extends object>(text: string, tenant: string): Promise<Row[]> =>
  (await database.pool.query<Row>(text, [tenant])).rows;

const activeKek = async (tenant: string) =>
  (await query<{ version: number }>("SELECT version FROM kek WHERE tenant = $1 AND state = 'active'", tenant))[0]
    ?.version;
const jobs = (tenant: string) => query<{ state: string }>('SELECT state FROM key_job WHERE tenant = $1', tenant);
const idle = async (tenant: string) => (await jobs(tenant)).every(({ state }) => state === 'done');

test('[K3] a KEK past its cryptoperiod is rotated once, however many custodians there are', async (context) => {
  const { tenant, clock, ledger } = await start(context, 3);
  await sleep(60);
  assert.equal(await activeKek(tenant), 1);
  clock.byMs = 90 * DAY_MS + 1000;
  await until(async () => (await activeKek(tenant)) === 2 && idle(tenant));
  await sleep(100);
  assert.equal((await jobs(tenant)).length, 2);
  const promoted = ledger.events.filter(({ interaction }) => interaction === 'keys.kek.promote');
  assert.deepEqual(
    promoted.map(({ actor, reason }) => [actor.sub, reason]),
    [['custodian', 'the cryptoperiod is over']],
  );
});

test('[K3] when the custodian that leads ends, another takes over', async (context) => {
  const { tenant, clock, custodians } = await start(context, 2);
  await sleep(60);
  await custodians[0]!.jobs.close();
  clock.byMs = 91 * DAY_MS;
  await until(async () => (await activeKek(tenant)) === 2 && idle(tenant));
});

test('[K3] a leader whose connection is lost leaves a consistent hierarchy, and somebody leads again', async (context) => {
  const { tenant, custodian, custodians } = await start(context, 2);
  await custodian.protect(
    'gateway',
    Array.from({ length: 300 }, () => subject()),
    TEST_USE,
  );
  const why = { by: { issuer: 'i', sub: 's' }, reason: 'r', correlationId: newUuid() };
  for (let round = 0; round < 3; round++) {
    await custodians[round % 2]!.jobs.desk.start('rotate-kek', why);
    await query(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND $1 <> ''`, tenant);
    await until(() => idle(tenant));
  }
  assert.equal(await activeKek(tenant), 4);
  const left = await query('SELECT FROM data_key WHERE tenant = $1 AND kek_version <> 4', tenant);
  assert.equal(left.length, 0);
});

test('[K3] a KEK is rotated when three quarters of its uses are over; at half of them an alarm is raised', async (context) => {
  const { tenant, alarms } = await start(context, 1);
  const setUses = (share: number) =>
    database.pool.query("UPDATE kek SET uses = $2 WHERE tenant = $1 AND state = 'active'", [
      tenant,
      Math.ceil(share * MOST_USES),
    ]);
  await setUses(0.5);
  await until(() => alarms().includes('KEYS_WORN'));
  assert.equal(await activeKek(tenant), 1);
  await setUses(0.75);
  await until(async () => (await activeKek(tenant)) === 2);
  await sleep(60);
  assert.deepEqual(alarms(), ['KEYS_WORN']);
});

test('[K3] a KEK that is used up wraps nothing more', async (context) => {
  const { tenant, restart } = await startCustodian(context, database.pool);
  await database.pool.query('UPDATE kek SET uses = $2 WHERE tenant = $1', [tenant, Math.ceil(0.9 * MOST_USES)]);
  const custodian = await restart();
  await assert.rejects(custodian.protect('gateway', [subject()], TEST_USE), { code: 'KEYS_EXHAUSTED' });
});

test('[K3] every key that is made counts as a use of its KEK, in blocks', async (context) => {
  const { tenant, custodian } = await startCustodian(context, database.pool);
  const uses = async () =>
    Number((await query<{ uses: string }>('SELECT uses FROM kek WHERE tenant = $1', tenant))[0]!.uses);
  await custodian.protect(
    'gateway',
    Array.from({ length: 900 }, () => subject()),
    TEST_USE,
  );
  const once = await uses();
  assert.ok(once >= 900);
  for (let round = 0; round < 4; round++)
    await custodian.protect(
      'gateway',
      Array.from({ length: 900 }, () => subject()),
      TEST_USE,
    );
  assert.ok((await uses()) >= 4500 && (await uses()) <= 3 * once);
});

test('[K3] a root key past its time raises an alarm once, not at every look', async (context) => {
  const { clock, alarms } = await start(context, 1, {
    cryptoperiodDays: { kek: 730, data: 90, root: 365, signing: 365 },
  });
  clock.byMs = 366 * DAY_MS;
  await until(() => alarms().includes('KEYS_OVERDUE'));
  await sleep(100);
  assert.deepEqual(alarms(), ['KEYS_OVERDUE']);
});

test('[K3] while the clock is back behind what was done, the schedule rests and keys are served', async (context) => {
  const { tenant, clock, custodian, alarms } = await start(context, 1, {
    cryptoperiodDays: { kek: 30, data: 90, root: 365, signing: 365 },
  });
  const why = { by: { issuer: 'i', sub: 's' }, reason: 'r', correlationId: newUuid() };
  await custodian.jobs.desk.start('rotate-kek', why);
  await until(async () => (await activeKek(tenant)) === 2 && idle(tenant));
  clock.byMs = -120_000;
  await database.pool.query("UPDATE kek SET activated_at = now() - interval '31 days' WHERE tenant = $1", [tenant]);
  await until(() => alarms().includes('KEYS_CLOCK_BACK'));
  await sleep(100);
  assert.equal(await activeKek(tenant), 2);
  assert.deepEqual(alarms(), ['KEYS_CLOCK_BACK']);
  assert.equal((await custodian.protect('gateway', [subject()], TEST_USE)).length, 1);
  clock.byMs = 0;
  await until(async () => (await activeKek(tenant)) === 3);
});

test('[K3] old news are forgotten, new ones are not', async (context) => {
  const { tenant } = await start(context, 1);
  const insert =
    "INSERT INTO key_news (tenant, at, ids, specs) VALUES ($1, now() - $2 * interval '1 hour', '{}', '[]')";
  for (const hours of [1, 25]) await database.pool.query(insert, [tenant, hours]);
  const count = async () => (await query('SELECT FROM key_news WHERE tenant = $1', tenant)).length;
  await until(async () => (await count()) === 1);
  await sleep(60);
  assert.equal(await count(), 1);
});
