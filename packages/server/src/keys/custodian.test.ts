/** The custodian on a real database: who gets which key, what is recorded, and what a changed database cannot do. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { keyIdOf } from '@keyward/sdk/seal';
import { type AuditSink, KeywardError, newUuid } from '../core/index.ts';
import { openPool } from '../db/index.ts';
import type { Custodian } from './custodian.ts';
import { localRoot } from './roots/local/local.ts';
import { type KeyDatabase, SPECS, startCustodian, startKeyDatabase, subject, tamperWith, TEST_USE } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

/** Of the ledger in the custodian's process, on nobody's behalf. */
const { actor: _nobody, ...OWN_USE } = TEST_USE;

const start = (context: TestContext) => startCustodian(context, database.pool);
const tamper = (tenant: string, set: string, where?: string) => tamperWith(database.pool, tenant, set, where);

test('[E2] a spec has one key, which comes back by spec and by id, also after a restart', async (context) => {
  const { custodian, restart } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.subject], TEST_USE);
  const [bySpec] = await custodian.protect('gateway', [SPECS.subject], TEST_USE);
  const [byId] = await (await restart()).process('gateway', [key!.id], TEST_USE);
  for (const again of [bySpec, byId]) assert.ok(again!.id === key!.id && again!.secret.equals(key!.secret));
  assert.equal(keyIdOf(key!.secret), key!.id);
});

test('[E2] every spec has a key of its own, and a tenant shares none with another', async (context) => {
  const [one, other] = [await start(context), await start(context)];
  const specs = [
    subject(),
    subject(),
    SPECS.tenant,
    { kind: 'index', indexClass: 'family' },
    { kind: 'index', indexClass: 'given' },
  ] as const;
  const keys = [
    ...(await one.custodian.protect('gateway', specs, TEST_USE)),
    ...(await other.custodian.protect('gateway', specs, TEST_USE)),
  ];
  assert.equal(new Set(keys.map(({ id }) => id)).size, 10);
  await assert.rejects(other.custodian.process('gateway', [keys[0]!.id], TEST_USE), { code: 'KEYS_UNKNOWN_KEY' });
});

test('[E2] hundreds of specs are served in order, repeated ones alike', async (context) => {
  const { custodian } = await start(context);
  const specs = Array.from({ length: 600 }, () => subject());
  const keys = await custodian.protect('gateway', [...specs, specs[0]!], TEST_USE);
  assert.equal(keys[600]!.id, keys[0]!.id);
  assert.equal(new Set(keys.map(({ id }) => id)).size, 600);
  const again = await custodian.process('gateway', keys.map(({ id }) => id).toReversed(), TEST_USE);
  assert.deepEqual(
    again.map(({ id }) => id),
    keys.map(({ id }) => id).toReversed(),
  );
});

test('[E2] fifty callers that ask for the same new keys at once, in any order, get the same ones', async (context) => {
  const { custodian, restart } = await start(context);
  const custodians = [custodian, await restart(), await restart()];
  const specs = Array.from({ length: 5 }, () => subject());
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => {
      const order = at % 2 ? specs : specs.toReversed();
      return custodians[at % 3]!.protect('gateway', order, TEST_USE);
    }),
  );
  assert.equal(new Set(answers.flat().map(({ id }) => id)).size, 5);
});

test('[E2] keys are made in one order, whatever the order of the request, so that two callers never deadlock', async (context) => {
  const { custodian, tenant } = await start(context);
  const [low, high] = [newUuid(), newUuid()].sort() as [string, string];
  const other = await database.pool.connect();
  context.after(() => other.release(true));
  const make = (scope: string) =>
    other.query(
      `INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at)
       VALUES (decode(md5($2), 'hex'), $1, 'subject', $2, 1, 'active', '', now())`,
      [tenant, scope],
    );
  await other.query('BEGIN');
  await make(low);
  const pending = custodian.protect('gateway', [subject(high), subject(low)], TEST_USE);
  pending.catch(() => undefined);
  const waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO data_key%'";
  while ((await database.pool.query(waits)).rowCount === 0);
  await make(high);
  await other.query('ROLLBACK');
  assert.equal((await pending).length, 2);
});

test('[E2] the database never holds the bytes of a key', async (context) => {
  const { custodian, tenant, rootFile } = await start(context);
  const keys = await custodian.protect('gateway', [subject(), subject(), SPECS.tenant], TEST_USE);
  const rows = await database.pool.query<{ wrapped: Buffer }>(
    'SELECT wrapped FROM data_key WHERE tenant = $1 UNION ALL SELECT wrapped FROM kek WHERE tenant = $1',
    [tenant],
  );
  assert.equal(rows.rowCount, 4);
  const secrets = [...keys.map(({ secret }) => secret.export()), readFileSync(rootFile)];
  for (const { wrapped } of rows.rows) for (const secret of secrets) assert.equal(wrapped.includes(secret), false);
});

test('[E2] a wrapped key that is moved to another patient does not open', async (context) => {
  const { custodian, tenant, logLines } = await start(context);
  const [victim, other] = [newUuid(), newUuid()];
  const [key] = await custodian.protect('gateway', [subject(victim)], TEST_USE);
  await tamper(tenant, `scope = '${other}'`);
  await assert.rejects(custodian.protect('gateway', [subject(other)], TEST_USE), { code: 'KEYS_NOT_AUTHENTIC' });
  await assert.rejects(custodian.process('gateway', [key!.id], TEST_USE), { code: 'KEYS_NOT_AUTHENTIC' });
  assert.match(logLines.join(''), /KEYS_NOT_AUTHENTIC/);
});

test('[E2] a wrapped key that is moved to another tenant, kind, id or row does not open', async (context) => {
  const [one, two] = [await start(context), await start(context)];
  const [key, other] = await one.custodian.protect('gateway', [subject(), subject()], TEST_USE);
  await two.custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const rejects = (custodian: Custodian, id: string) =>
    assert.rejects(custodian.process('gateway', [id], TEST_USE), { code: 'KEYS_NOT_AUTHENTIC' });
  const isOther = `id = '\\x${other!.id}'`;
  const oldId = `wrapped = (SELECT wrapped FROM data_key WHERE id = '\\x${key!.id}')`;

  await tamper(one.tenant, oldId, isOther);
  await rejects(one.custodian, other!.id);
  await tamper(one.tenant, `id = '\\x${'ab'.repeat(16)}'`, `id = '\\x${key!.id}'`);
  await rejects(one.custodian, 'ab'.repeat(16));
  await tamper(one.tenant, `id = '\\x${key!.id}', kind = 'cursor', scope = ''`, `id = '\\x${'ab'.repeat(16)}'`);
  await rejects(one.custodian, key!.id);
  await tamper(one.tenant, `tenant = '${two.tenant}'`, `id = '\\x${key!.id}'`);
  await rejects(two.custodian, key!.id);
});

test('[E2] a wrapped key with any byte changed does not open', async (context) => {
  const { custodian, tenant } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const { rows } = await database.pool.query<{ wrapped: Buffer }>('SELECT wrapped FROM data_key WHERE tenant = $1', [
    tenant,
  ]);
  for (let at = 0; at < rows[0]!.wrapped.length; at += 7) {
    const altered = Buffer.from(rows[0]!.wrapped);
    altered[at]! ^= 0x80;
    await tamper(tenant, `wrapped = '\\x${altered.toString('hex')}'`);
    await assert.rejects(custodian.process('gateway', [key!.id], TEST_USE), { code: 'KEYS_NOT_AUTHENTIC' });
  }
});

test('[K6] an access is recorded with who, which key, for what, for whom, in one event; new keys before it', async (context) => {
  const { custodian, ledger, tenant } = await start(context);
  const patient = newUuid();
  const use = { ...TEST_USE, issuer: 'https://idp.example' };
  const keys = await custodian.protect('gateway', [subject(patient), SPECS.tenant], use);
  const events = ledger.events.filter(({ class: name }) => name === 'key.access');
  const what = {
    class: 'key.access',
    tenant,
    correlationId: TEST_USE.correlationId,
    actor: { sub: 'clinician-7', client: 'gateway', issuer: 'https://idp.example' },
    subjects: [patient],
    purpose: 'TREAT',
    decision: 'permit',
    rule: 'keys.grants.gateway',
    keyIds: keys.map((key) => key.id),
  };
  const resources = [`DataKey/subject/${patient}`, 'DataKey/tenant'];
  assert.deepEqual(
    events.map(({ id: _id, at: _at, ...rest }) => rest),
    [
      { ...what, interaction: 'keys.create', resources },
      { ...what, interaction: 'keys.protect' },
    ],
  );
});

test('[K6] an issuer without an actor does not make a process somebody else', async (context) => {
  const { custodian, ledger } = await start(context);
  const use = { ...OWN_USE, issuer: 'https://idp.example' };
  await custodian.protect('gateway', [SPECS.tenant], use);
  assert.deepEqual(ledger.events.at(-1)!.actor, { sub: 'gateway', client: 'gateway' });
});

test('[K6] a key that was made is recorded as made: while that fails, none is', async (context) => {
  const { custodian, ledger, tenant } = await start(context);
  ledger.down = true;
  await assert.rejects(custodian.protect('gateway', [SPECS.tenant], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
  assert.equal((await database.pool.query('SELECT FROM data_key WHERE tenant = $1', [tenant])).rowCount, 0);
  ledger.down = false;
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const made = ledger.events.filter(({ interaction }) => interaction === 'keys.create');
  assert.deepEqual(
    made.flatMap(({ keyIds }) => keyIds),
    [key!.id],
  );
});

test('[K6] the opening of the KEK at the start is recorded before the first key leaves', async (context) => {
  const { custodian, ledger, restart } = await start(context);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await (await restart()).protect('gateway', [SPECS.tenant], TEST_USE);
  const names = ledger.events.map(({ interaction }) => interaction);
  assert.deepEqual(names, ['keys.kek.create', 'keys.create', 'keys.protect', 'keys.kek.open', 'keys.protect']);
});

for (const interaction of ['keys.create', 'keys.protect']) {
  test(`[K6] more than 500 keys are recorded in several events of ${interaction}, none left out`, async (context) => {
    const { custodian, ledger } = await start(context);
    const specs = Array.from({ length: 600 }, () => subject());
    const keys = await custodian.protect('gateway', specs, TEST_USE);
    const events = ledger.events.filter((event) => event.interaction === interaction);
    assert.deepEqual(
      events.map(({ keyIds, subjects }) => [keyIds!.length, subjects?.length]),
      [
        [500, 500],
        [100, 100],
      ],
    );
    assert.deepEqual(
      events.flatMap(({ keyIds }) => keyIds),
      keys.map(({ id }) => id),
    );
  });
}

test('[K6] no record, no key: while the ledger fails nothing leaves, and then it does again', async (context) => {
  const { custodian, ledger } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  ledger.down = true;
  await assert.rejects(custodian.protect('gateway', [SPECS.tenant], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
  await assert.rejects(custodian.protect('gateway', [subject()], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
  await assert.rejects(custodian.process('gateway', [key!.id], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
  await assert.rejects(custodian.process('admin', [key!.id], TEST_USE), { code: 'KEYS_FORBIDDEN' });
  ledger.down = false;
  assert.equal((await custodian.process('gateway', [key!.id], TEST_USE)).length, 1);
});

test('[K6] a key waits until its record is durable', async (context) => {
  const { custodian, ledger } = await start(context);
  const [durable, called] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  ledger.before = () => (called.resolve(), durable.promise);
  let left = false;
  const pending = custodian.protect('gateway', [SPECS.tenant], TEST_USE).finally(() => (left = true));
  await called.promise;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(left, false);
  durable.resolve();
  assert.equal((await pending).length, 1);
});

test('[K6] an unknown key is refused and recorded as a failure; keys beside it do not leave', async (context) => {
  const { custodian, ledger } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const unknown = 'f'.repeat(32);
  await assert.rejects(custodian.process('gateway', [key!.id, unknown], TEST_USE), { code: 'KEYS_UNKNOWN_KEY' });
  const { class: name, code, keyIds } = ledger.events.at(-1)!;
  assert.deepEqual([name, code, keyIds], ['failure', 'KEYS_UNKNOWN_KEY', [key!.id, unknown]]);
});

test('[E2] with another root key the custodian does not start, and says why', async (context) => {
  const { restart, rootFile } = await start(context);
  const stranger = await start(context);
  await stranger.custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  rmSync(rootFile);
  await assert.rejects(restart(), { code: 'KEYS_ROOT_UNREADABLE' });
  const root = await localRoot.open({ file: stranger.rootFile });
  await assert.rejects(restart({ root }), (error: KeywardError) => {
    assert.equal(error.code, 'KEYS_ROOT_MISMATCH');
    return /Restore the root key/.test(error.row.hint);
  });
});

test('[E2] a KEK that was altered, or came from another tenant, does not open', async (context) => {
  const [one, two] = [await start(context), await start(context)];
  await database.pool.query('UPDATE kek SET wrapped = (SELECT wrapped FROM kek WHERE tenant = $2) WHERE tenant = $1', [
    one.tenant,
    two.tenant,
  ]);
  const root = await localRoot.open({ file: two.rootFile });
  await assert.rejects(one.restart({ root }), { code: 'KEYS_NOT_AUTHENTIC' });
});

test('[E2] custodians that start together on an empty database share one KEK', async (context) => {
  const { restart } = await start(context);
  const tenant = `t-${newUuid()}`;
  const custodians = await Promise.all(Array.from({ length: 5 }, () => restart({ tenant })));
  const keys = await Promise.all(custodians.map((each) => each.protect('gateway', [SPECS.tenant], TEST_USE)));
  assert.equal(new Set(keys.flat().map(({ id }) => id)).size, 1);
  const { rowCount } = await database.pool.query('SELECT 1 FROM kek WHERE tenant = $1', [tenant]);
  assert.equal(rowCount, 1);
});

test('[K6] a ledger that writes with keys of this custodian records its own accesses too, and once', async (context) => {
  const { restart, ledger } = await start(context);
  const own: { keys?: ReturnType<Custodian['ownLedgerKeys']> } = {};
  const audit: AuditSink = {
    async record(events) {
      await own.keys!.protect([SPECS.ledger, SPECS.pseudonym], OWN_USE);
      await ledger.record(events);
    },
  };
  const custodian = await restart({ audit });
  own.keys = custodian.ownLedgerKeys();
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const seen = ledger.events.map(({ interaction, actor }) => `${interaction} ${actor.sub}`);
  const [create, access] = ['keys.create clinician-7', 'keys.protect clinician-7'];
  const ownAccess = ['keys.create custodian', 'keys.protect custodian'];
  assert.deepEqual(seen, ['keys.kek.open custodian', create, access, ...ownAccess, access]);
});

test('[K6] when its own access cannot be recorded, the key that caused it does not leave', async (context) => {
  const { restart, ledger } = await start(context);
  const own: { keys?: ReturnType<Custodian['ownLedgerKeys']> } = {};
  const audit: AuditSink = {
    async record(events) {
      await own.keys!.protect([SPECS.pseudonym], OWN_USE);
      await ledger.record(events);
      ledger.down = true;
    },
  };
  const custodian = await restart({ audit });
  own.keys = custodian.ownLedgerKeys();
  await assert.rejects(custodian.protect('gateway', [SPECS.tenant], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
});

test('[K10] the own ledger keys are held within their bounds, so that an entry does not wait for the database', async (context) => {
  const { restart } = await start(context);
  let nowMs = 0;
  const ownKeys = { maxAgeMs: 1000, maxHandouts: 100, maxKeys: 10, now: () => nowMs };
  const pool = openPool(database.connection, { max: 1, applicationName: 'own keys test' });
  context.after(() => pool.end());
  const own = (await restart({ ownKeys, pool })).ownLedgerKeys();
  const protect = () => own.protect([SPECS.ledger, SPECS.pseudonym], OWN_USE);
  await protect();
  const client = await pool.connect();
  nowMs = 999;
  assert.equal((await protect()).length, 2);
  nowMs = 1000;
  let served = false;
  const again = protect().finally(() => (served = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(served, false);
  client.release();
  assert.equal((await again).length, 2);
});

test('[K4] the own ledger keys are limited to the ledger', async (context) => {
  const { custodian } = await start(context);
  await assert.rejects(custodian.ownLedgerKeys().protect([SPECS.tenant], TEST_USE), { code: 'KEYS_FORBIDDEN' });
});

test('[K10] neither errors nor log lines hold key bytes', async (context) => {
  const { custodian, tenant, logLines, rootFile } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await tamper(tenant, "kind = 'cursor'");
  const error = await custodian.process('gateway', [key!.id], TEST_USE).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof KeywardError);
  const text = inspect(error, { depth: 9, showHidden: true }) + logLines.join('');
  for (const secret of [key!.secret.export(), readFileSync(rootFile)]) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      assert.equal(text.includes(secret.toString(encoding)), false);
  }
});
