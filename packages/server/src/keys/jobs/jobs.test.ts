/** Rotation, rewrap and move of the root on a real database, with a custodian that serves meanwhile. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, newUuid } from '../../core/index.ts';
import type { Custodian, CustodianOptions } from '../custodian.ts';
import { localRoot } from '../roots/local/local.ts';
import {
  type KeyDatabase,
  SPECS,
  startCustodian,
  startKeyDatabase,
  subject,
  tamperWith,
  type TestCustodian,
  TEST_USE,
  testDirectory,
} from '../testing.ts';
import type { JobKind } from './table.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const WHY = { by: { issuer: 'https://idp.example', sub: 'operator' }, reason: 'a test', correlationId: newUuid() };
/** Longer than a busy machine stands still: where it is to be over, the clock is turned. */
const DISTRIBUTION_MS = 60_000;

const TIMING: NonNullable<CustodianOptions['timing']> = {
  pollMs: 10,
  tickMs: 20,
  beatMs: 20,
  aliveMs: 60_000,
  distributionMs: DISTRIBUTION_MS,
  busyMs: 5,
  dutyShare: 1,
  batchKeys: 50,
};

interface Running extends TestCustodian {
  readonly custodian: Custodian;
}

/** A custodian whose jobs run. */
async function start(context: TestContext, changes: Partial<CustodianOptions> = {}): Promise<Running> {
  const started = await startCustodian(context, database.pool);
  const custodian = await started.restart({ timing: TIMING, ...changes });
  custodian.jobs.start();
  context.after(() => custodian.jobs.close());
  return { ...started, custodian };
}

interface JobRow {
  readonly kind: JobKind;
  readonly state: string;
  readonly error_code: ErrorCode | null;
  readonly done: string;
  readonly total: string | null;
}

async function jobsOf(tenant: string): Promise<JobRow[]> {
  const { rows } = await database.pool.query<JobRow>('SELECT * FROM key_job WHERE tenant = $1 ORDER BY started_at', [
    tenant,
  ]);
  return rows;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10);
}

/** Resolves once no job runs any more; all that there are have to end well. */
async function untilIdle(tenant: string, ended = ['done']): Promise<JobRow[]> {
  for (;;) {
    const jobs = await jobsOf(tenant);
    if (jobs.every(({ state }) => state !== 'running')) {
      for (const { state, kind, error_code: code } of jobs)
        assert.ok(ended.includes(state), `${kind} ${state} ${code}`);
      return jobs;
    }
    await sleep(10);
  }
}

const keksOf = async (tenant: string): Promise<string[]> => {
  const text = 'SELECT version, state FROM kek WHERE tenant = $1 ORDER BY version';
  const { rows } = await database.pool.query<{ version: number; state: string }>(text, [tenant]);
  return rows.map(({ version, state }) => `${version} ${state}`);
};

const kekVersionsOfKeys = async (tenant: string): Promise<number[]> => {
  const text = 'SELECT DISTINCT kek_version AS version FROM data_key WHERE tenant = $1 ORDER BY version';
  return (await database.pool.query<{ version: number }>(text, [tenant])).rows.map(({ version }) => version);
};

const makeKeys = (custodian: Custodian, count: number) =>
  custodian.protect(
    'gateway',
    Array.from({ length: count }, () => subject()),
    TEST_USE,
  );

test('[K3] a KEK is rotated in two phases, every data key is rewrapped, and none changes', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  const keys = await makeKeys(custodian, 120);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  const jobs = await untilIdle(tenant);
  assert.deepEqual(
    jobs.map(({ kind, done, total }) => [kind, done, total]),
    [
      ['rotate-kek', '3', '3'],
      ['rewrap', '120', '120'],
    ],
  );
  assert.deepEqual(await keksOf(tenant), ['1 deactivated', '2 active']);
  assert.deepEqual(await kekVersionsOfKeys(tenant), [2]);
  const again = await custodian.process(
    'gateway',
    keys.map(({ id }) => id),
    TEST_USE,
  );
  assert.ok(again.every((key, at) => key.secret.equals(keys[at]!.secret)));
  const lifecycle = ledger.events.filter(({ class: name }) => name === 'key.lifecycle');
  assert.deepEqual(
    // A step that is tried again is entered again.
    [...new Set(lifecycle.map(({ interaction }) => interaction))],
    ['keys.kek.create', 'keys.kek.deactivate', 'keys.kek.promote', 'keys.rewrap', 'keys.rewrap.verify'],
  );
  assert.ok(
    lifecycle.every(({ correlationId, actor }) => correlationId === WHY.correlationId && actor.sub === 'operator'),
  );
});

test('[K3] every step of a rotation leaves its transition, with who, when and why', async (context) => {
  const { custodian, tenant } = await start(context);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await untilIdle(tenant);
  const { rows } = await database.pool.query(
    `SELECT kek_version, from_state, to_state, actor, reason FROM key_transition
     WHERE tenant = $1 AND kek_version IS NOT NULL ORDER BY at, kek_version, to_state DESC`,
    [tenant],
  );
  const who = { actor: 'https://idp.example operator', reason: 'a test' };
  const changes = [
    { kek_version: 2, from_state: null, to_state: 'pre-activation', ...who },
    { kek_version: 1, from_state: 'active', to_state: 'deactivated', ...who },
    { kek_version: 2, from_state: 'pre-activation', to_state: 'active', ...who },
  ];
  assert.deepEqual(rows, changes);
});

test('[K3] a custodian that cannot open the new KEK keeps it from being promoted, and a later rotation takes it up', async (context) => {
  const clock = { byMs: 0, now: () => new Date(Date.now() + clock.byMs) };
  const { custodian, tenant } = await start(context, { clock });
  const blind = `INSERT INTO custodian_process (tenant, id, seen_at, kek_version, roots)
    VALUES ($1, gen_random_uuid(), now() + interval '1 hour', 1, '{}')`;
  await database.pool.query(blind, [tenant]);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await until(async () => (await keksOf(tenant)).length === 2);
  clock.byMs = 2 * DISTRIBUTION_MS;
  const [failed] = await untilIdle(tenant, ['failed']);
  assert.equal(failed!.error_code, 'KEYS_KEK_NOT_OPENED');
  assert.deepEqual(await keksOf(tenant), ['1 active', '2 pre-activation']);
  await database.pool.query('DELETE FROM custodian_process WHERE tenant = $1 AND seen_at > now()', [tenant]);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await untilIdle(tenant, ['failed', 'done']);
  assert.deepEqual(await keksOf(tenant), ['1 deactivated', '2 active']);
});

test('[K3] while KEKs are rotated again and again, new keys are served and none is lost or left behind', async (context) => {
  const { custodian, tenant, restart } = await start(context);
  const other = await restart({ timing: TIMING });
  other.jobs.start();
  context.after(() => other.jobs.close());
  const made = await makeKeys(custodian, 60);
  const rotating = { on: true };
  const serve = async (from: Custodian) => {
    while (rotating.on) made.push(...(await makeKeys(from, 3)));
  };
  const serving = [serve(custodian), serve(other)];
  for (let round = 0; round < 5; round++) {
    await custodian.jobs.desk.start('rotate-kek', WHY);
    await untilIdle(tenant);
  }
  rotating.on = false;
  await Promise.all(serving);
  assert.deepEqual((await keksOf(tenant)).at(-1), '6 active');
  assert.deepEqual(await kekVersionsOfKeys(tenant), [6]);
  const late = await restart();
  const again = await late.process('gateway', [...new Set(made.map(({ id }) => id))].slice(0, 1000), TEST_USE);
  const secrets = new Map(made.map((key) => [key.id, key.secret]));
  assert.ok(again.every(({ id, secret }) => secret.equals(secrets.get(id)!)));
});

test('[K3] a key drafted under a KEK that is rotated before it is stored is drafted again under the new one', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  let rotated = false;
  ledger.before = async () => {
    if (rotated) return;
    rotated = true;
    await custodian.jobs.desk.start('rotate-kek', WHY);
    await untilIdle(tenant);
  };
  const [key] = await makeKeys(custodian, 1);
  assert.deepEqual(await kekVersionsOfKeys(tenant), [2]);
  assert.equal((await custodian.process('gateway', [key!.id], TEST_USE))[0]!.id, key!.id);
});

test('[K3] a second job of a kind is refused while one runs', async (context) => {
  const { custodian, restart } = await startCustodian(context, database.pool);
  assert.ok(await custodian.jobs.desk.start('rewrap', WHY));
  await assert.rejects(custodian.jobs.desk.start('rewrap', WHY), { code: 'KEYS_JOB_RUNNING' });
  const { jobs } = await restart({ timing: TIMING });
  jobs.start();
  context.after(() => jobs.close());
});

test('[K3] a damaged data key is counted, left, alarmed and told; the others are rewrapped', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  const keys = await makeKeys(custodian, 70);
  const [damaged] = keys;
  await tamperWith(
    database.pool,
    tenant,
    `wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)`,
    `id = '\\x${damaged!.id}'`,
  );
  await custodian.jobs.desk.start('rotate-kek', WHY);
  const jobs = await untilIdle(tenant);
  assert.deepEqual([jobs[1]!.error_code, jobs[1]!.done], ['KEYS_NOT_AUTHENTIC', '69']);
  assert.deepEqual(await kekVersionsOfKeys(tenant), [1, 2]);
  const alarms = ledger.events.filter(({ class: name }) => name === 'key.alarm');
  assert.deepEqual(
    alarms.map(({ code, keyIds }) => [code, keyIds]),
    [['KEYS_NOT_AUTHENTIC', [damaged!.id]]],
  );
});

test('[K3] a key that somebody holds locked is not waited for, and not left behind', async (context) => {
  const { custodian, tenant } = await start(context);
  await makeKeys(custodian, 60);
  const other = await database.pool.connect();
  context.after(() => other.release(true));
  await other.query('BEGIN');
  await other.query('SELECT FROM data_key WHERE tenant = $1 ORDER BY id LIMIT 5 FOR UPDATE', [tenant]);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  while ((await jobsOf(tenant)).find(({ kind }) => kind === 'rewrap')?.done !== '55') await sleep(10);
  await other.query('ROLLBACK');
  const jobs = await untilIdle(tenant);
  assert.equal(jobs[1]!.done, '60');
  assert.deepEqual(await kekVersionsOfKeys(tenant), [2]);
});

test('[K3] a key that is destroyed while its batch is wrapped stays destroyed', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  const [key] = await makeKeys(custodian, 1);
  const destroy = "state = 'destroyed', wrapped = NULL";
  ledger.before = async () => {
    const rewrapping = (await jobsOf(tenant)).some(({ kind }) => kind === 'rewrap');
    if (rewrapping) await tamperWith(database.pool, tenant, destroy, `id = '\\x${key!.id}'`);
  };
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await untilIdle(tenant);
  const { rows } = await database.pool.query('SELECT state, wrapped FROM data_key WHERE tenant = $1', [tenant]);
  assert.deepEqual(rows, [{ state: 'destroyed', wrapped: null }]);
});

test('[K6] while the ledger is silent a job waits, and then goes on', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  await makeKeys(custodian, 10);
  ledger.down = true;
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await sleep(150);
  assert.deepEqual(await keksOf(tenant), ['1 active']);
  ledger.down = false;
  await untilIdle(tenant);
  assert.deepEqual(await keksOf(tenant), ['1 deactivated', '2 active']);
});

test('[K9] all KEKs move to another root while keys are served; afterwards either root alone decides', async (context) => {
  const nextFile = join(testDirectory(context), 'next', 'root.key');
  const nextRoot = await localRoot.open({ file: nextFile });
  const { custodian, tenant, restart, rootFile } = await start(context, { nextRoot });
  const keys = await makeKeys(custodian, 10);
  await custodian.jobs.desk.start('rotate-kek', WHY);
  await untilIdle(tenant);
  await custodian.jobs.desk.start('move-root', WHY);
  await untilIdle(tenant);
  const ids = keys.map(({ id }) => id);
  assert.equal((await custodian.process('gateway', ids, TEST_USE)).length, 10);
  await assert.rejects(restart({ root: await localRoot.open({ file: rootFile }) }), { code: 'KEYS_ROOT_MISMATCH' });
  const moved = await restart({ root: await localRoot.open({ file: nextFile }) });
  assert.equal((await moved.process('gateway', ids, TEST_USE)).length, 10);
});

test('[K9] a move waits for no custodian that could not start again after it', async (context) => {
  const nextRoot = await localRoot.open({ file: join(testDirectory(context), 'next', 'root.key') });
  const { custodian, tenant, restart } = await start(context, { nextRoot });
  const other = await restart({ timing: TIMING });
  other.jobs.start();
  context.after(() => other.jobs.close());
  const present = async () =>
    (await database.pool.query('SELECT FROM custodian_process WHERE tenant = $1', [tenant])).rowCount;
  await until(async () => (await present()) === 2);
  await custodian.jobs.desk.start('move-root', WHY);
  const [job] = await untilIdle(tenant, ['failed']);
  assert.equal(job!.error_code, 'KEYS_ROOT_UNUSABLE');
});

test('[K3] a data key is rotated: the new version protects, the one of before opens', async (context) => {
  const { custodian, tenant, ledger } = await start(context);
  const [first] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const rotated = await custodian.jobs.desk.rotateKey({ kind: 'tenant', scope: '' }, WHY);
  const [second] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  assert.deepEqual([rotated.from, rotated.to], [first!.id, second!.id]);
  assert.notEqual(first!.id, second!.id);
  assert.equal((await custodian.process('gateway', [first!.id], TEST_USE))[0]!.id, first!.id);
  const event = ledger.events.find(({ interaction }) => interaction === 'keys.rotate');
  assert.deepEqual(event?.keyIds, [first!.id, second!.id]);
  const { rows } = await database.pool.query('SELECT specs FROM key_news WHERE tenant = $1', [tenant]);
  assert.deepEqual(rows, [{ specs: [{ kind: 'tenant', scope: '' }] }]);
});

const REFUSED: readonly (readonly [what: string, kind: string, set: string | undefined, code: ErrorCode])[] = [
  ['of an index', 'index', undefined, 'KEYS_REINDEX_NEEDED'],
  ['of pseudonyms', 'pseudonym', undefined, 'KEYS_REINDEX_NEEDED'],
  ['that there never was', 'cursor', undefined, 'KEYS_UNKNOWN_KEY'],
  ['that is suspended', 'tenant', "state = 'suspended'", 'KEYS_TRANSITION_REFUSED'],
  ['that was destroyed', 'tenant', "state = 'destroyed', wrapped = NULL", 'KEYS_STATE_REFUSED'],
  ['that waits for its destruction', 'tenant', 'destruction = gen_random_uuid()', 'KEYS_STATE_REFUSED'],
];

for (const [what, kind, set, code] of REFUSED) {
  test(`[K3] a key ${what} is not rotated`, async (context) => {
    const { custodian, tenant } = await startCustodian(context, database.pool);
    await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    if (set) await tamperWith(database.pool, tenant, set);
    await assert.rejects(custodian.jobs.desk.rotateKey({ kind, scope: '' }, WHY), { code });
    assert.equal((await database.pool.query('SELECT FROM data_key WHERE tenant = $1', [tenant])).rowCount, 1);
  });
}

test('[K3] a compromised key gets a successor by rotation, and stays compromised', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await tamperWith(database.pool, tenant, "state = 'compromised'");
  await assert.rejects(custodian.protect('gateway', [SPECS.tenant], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
  const { from, to } = await custodian.jobs.desk.rotateKey({ kind: 'tenant', scope: '' }, WHY);
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  assert.deepEqual([from, to], [null, key!.id]);
});

test('[K3] keys past their cryptoperiod get a successor at their next use, once, in one entry of the ledger', async (context) => {
  const { custodian, tenant, ledger, restart } = await startCustodian(context, database.pool);
  const specs = [subject(), subject(), SPECS.index];
  const old = await custodian.protect('gateway', specs, TEST_USE);
  await tamperWith(database.pool, tenant, "activated_at = now() - interval '90 days'");
  const custodians = [custodian, await restart(), await restart()];
  const answers = await Promise.all(custodians.map((each) => each.protect('gateway', specs, TEST_USE)));
  const ids = new Set(answers.flat().map(({ id }) => id));
  assert.equal(ids.size, 3);
  assert.ok(ids.has(old[2]!.id), 'index keys stay');
  assert.equal(ids.has(old[0]!.id), false);
  const events = ledger.events.filter(({ interaction }) => interaction === 'keys.rotate');
  assert.ok(events.length >= 1 && events.every(({ subjects }) => subjects?.length === 2));
  const { rowCount } = await database.pool.query('SELECT FROM data_key WHERE tenant = $1', [tenant]);
  assert.equal(rowCount, 5);
});

test('[K8] a compromise of the active KEK orders its successor, under which what is new is protected again', async (context) => {
  const { custodian, tenant } = await start(context);
  const [tenantKey, indexKey] = await custodian.protect('gateway', [SPECS.tenant, SPECS.index], TEST_USE);
  const { job, hint } = await custodian.life.step('compromise', 'kek/1', WHY);
  const jobs = await untilIdle(tenant);
  assert.deepEqual([jobs.map(({ kind }) => kind), typeof job], [['rotate-kek', 'rewrap'], 'string']);
  assert.match(hint ?? '', /accept-risk kek\/1.*rewrap.*backfill --rekey/);
  const [successor] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  assert.notEqual(successor!.id, tenantKey!.id);
  await assert.rejects(custodian.process('gateway', [tenantKey!.id], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
  const both = custodian.protect('gateway', [SPECS.tenant, SPECS.index], TEST_USE);
  await assert.rejects(both, { code: 'KEYS_STATE_REFUSED' }, 'indexes cannot change');
  const { exposed } = await custodian.jobs.desk.stale();
  assert.deepEqual(
    exposed.filter(({ kind }) => kind !== 'ledger'),
    [
      { kek: 'kek/1', kind: 'index', count: 1, active: 1 },
      { kek: 'kek/1', kind: 'tenant', count: 1, active: 0 },
    ],
  );
  await custodian.life.acceptRisk('kek/1', 1, WHY);
  await custodian.jobs.desk.start('rewrap', WHY);
  await untilIdle(tenant);
  const [, index] = await custodian.protect('gateway', [SPECS.tenant, SPECS.index], TEST_USE);
  assert.equal(index!.id, indexKey!.id);
  assert.equal((await custodian.process('gateway', [tenantKey!.id], TEST_USE)).length, 1);
});

test('[K8] what is to be re-encrypted is counted by kind and state', async (context) => {
  const { custodian, tenant } = await startCustodian(context, database.pool);
  await makeKeys(custodian, 3);
  await tamperWith(
    database.pool,
    tenant,
    "state = 'deactivated'",
    'id = (SELECT min(id) FROM data_key WHERE tenant = $1)',
  );
  const { keys, exposed, advice } = await custodian.jobs.desk.stale();
  assert.deepEqual([keys, exposed], [[{ kind: 'subject', state: 'deactivated', count: 1 }], []]);
  assert.match(advice, /keyward seal backfill --rekey/);
});
