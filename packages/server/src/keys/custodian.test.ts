/** The custodian on a real database: who gets which key, what is recorded, and what a changed database cannot do. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import type { KeySpec } from '@keyward/sdk/client';
import { keyIdOf } from '@keyward/sdk/seal';
import { type AuditSink, KeywardError, newUuid } from '../core/index.ts';
import type { Custodian } from './custodian.ts';
import type { RemoteCaller } from './grants.ts';
import { localRoot } from './roots/local/local.ts';
import { type KeyDatabase, startCustodian, startKeyDatabase, TEST_USE } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startCustodian(context, database.pool);
const subject = (uuid = newUuid()): KeySpec => ({ kind: 'subject', subject: uuid });

const SPECS: Readonly<Record<KeySpec['kind'], KeySpec>> = {
  subject: subject(),
  tenant: { kind: 'tenant' },
  index: { kind: 'index', indexClass: 'family' },
  store: { kind: 'store' },
  cursor: { kind: 'cursor' },
  ledger: { kind: 'ledger', day: '2026-01-31' },
  pseudonym: { kind: 'pseudonym' },
};

const MAY_USE: Readonly<Record<RemoteCaller, readonly KeySpec['kind'][]>> = {
  gateway: ['subject', 'tenant', 'index', 'cursor', 'ledger', 'pseudonym'],
  store: ['store'],
  admin: ['ledger', 'pseudonym'],
};

/** Runs a statement on the rows of this tenant's data keys, as someone who can write to the database would. */
const tamper = (tenant: string, set: string, where = 'true') =>
  database.pool.query(`UPDATE data_key SET ${set} WHERE tenant = $1 AND ${where}`, [tenant]);

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

for (const [caller, kinds] of Object.entries(MAY_USE) as [RemoteCaller, readonly KeySpec['kind'][]][]) {
  test(`[K4] the ${caller} gets keys of its kinds and no others, neither by spec nor by id`, async (context) => {
    const { custodian, ledger } = await start(context);
    const owner = (kind: KeySpec['kind']) => (MAY_USE.gateway.includes(kind) ? 'gateway' : 'store');
    for (const [kind, spec] of Object.entries(SPECS) as [KeySpec['kind'], KeySpec][]) {
      const [key] = await custodian.protect(owner(kind), [spec], TEST_USE);
      const attempts = [
        () => custodian.protect(caller, [spec], TEST_USE),
        () => custodian.process(caller, [key!.id], TEST_USE),
      ];
      for (const attempt of attempts) {
        if (kinds.includes(kind)) assert.equal((await attempt())[0]!.id, key!.id);
        else await assert.rejects(attempt(), { code: 'KEYS_FORBIDDEN' });
      }
    }
    const denials = ledger.events.filter((event) => event.class === 'denial');
    assert.equal(denials.length, 2 * (Object.keys(SPECS).length - kinds.length));
    for (const denial of denials) {
      assert.equal(denial.decision, 'deny');
      assert.equal(denial.code, 'KEYS_FORBIDDEN');
      assert.equal(denial.actor.client, caller);
    }
  });
}

test("[K4] the index keys of the gateway and of the store are not each other's", async (context) => {
  const { custodian } = await start(context);
  const own: KeySpec = { kind: 'index', indexClass: 'store' };
  const [key] = await custodian.protect('store', [own], TEST_USE);
  await assert.rejects(custodian.protect('gateway', [own], TEST_USE), { code: 'KEYS_FORBIDDEN' });
  await assert.rejects(custodian.process('gateway', [key!.id], TEST_USE), { code: 'KEYS_FORBIDDEN' });
});

test('[K4] a forbidden spec makes no key, neither its own nor those beside it', async (context) => {
  const { custodian, tenant } = await start(context);
  await assert.rejects(custodian.protect('store', [SPECS.tenant, subject()], TEST_USE), { code: 'KEYS_FORBIDDEN' });
  const { rowCount } = await database.pool.query('SELECT 1 FROM data_key WHERE tenant = $1', [tenant]);
  assert.equal(rowCount, 0);
});

test('[K6] an access is recorded with who, which key, for what, for whom, in one event', async (context) => {
  const { custodian, ledger, tenant } = await start(context);
  const patient = newUuid();
  const keys = await custodian.protect('gateway', [subject(patient), SPECS.tenant], TEST_USE);
  const [event, ...more] = ledger.events.filter(({ class: name }) => name === 'key.access');
  assert.deepEqual(more, []);
  const { id, at, ...rest } = event!;
  assert.ok(id && at instanceof Date);
  assert.deepEqual(rest, {
    class: 'key.access',
    tenant,
    correlationId: TEST_USE.correlationId,
    actor: { sub: 'clinician-7', client: 'gateway' },
    interaction: 'keys.protect',
    subjects: [patient],
    purpose: 'TREAT',
    decision: 'permit',
    rule: 'keys.grants.gateway',
    keyIds: keys.map((key) => key.id),
  });
});

test('[K6] the opening of the KEK at the start is recorded before the first key leaves', async (context) => {
  const { custodian, ledger, restart } = await start(context);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await (await restart()).protect('gateway', [SPECS.tenant], TEST_USE);
  const names = ledger.events.map(({ interaction }) => interaction);
  assert.deepEqual(names, ['keys.kek.create', 'keys.protect', 'keys.kek.open', 'keys.protect']);
});

test('[K6] more than 500 keys are recorded in several events, none left out', async (context) => {
  const { custodian, ledger } = await start(context);
  const keys = await custodian.protect(
    'gateway',
    Array.from({ length: 600 }, () => subject()),
    TEST_USE,
  );
  const sizes = ledger.events.map(({ keyIds, subjects }) => [keyIds!.length, subjects?.length]).slice(1);
  assert.deepEqual(sizes, [
    [500, 500],
    [100, 100],
  ]);
  assert.deepEqual(
    ledger.events.slice(1).flatMap(({ keyIds }) => keyIds),
    keys.map(({ id }) => id),
  );
});

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

const STATES: Record<string, { readonly processes: boolean }> = {
  'pre-activation': { processes: false },
  suspended: { processes: false },
  deactivated: { processes: true },
  compromised: { processes: false },
  destroyed: { processes: false },
};

for (const [state, { processes }] of Object.entries(STATES)) {
  test(`[K1] a ${state} data key ${processes ? 'still processes' : 'does not process'} and never protects`, async (context) => {
    const { custodian, tenant } = await start(context);
    const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    await tamper(tenant, `state = '${state}'`);
    const attempt = custodian.process('gateway', [key!.id], TEST_USE);
    if (processes) assert.equal((await attempt)[0]!.id, key!.id);
    else await assert.rejects(attempt, { code: 'KEYS_STATE_REFUSED' });
    const [next] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    assert.notEqual(next!.id, key!.id);
  });

  test(`[K1] under a ${state} KEK data keys ${processes ? 'still open' : 'do not open'} and none is made, also after a restart`, async (context) => {
    const { custodian, tenant, restart } = await start(context);
    const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    await database.pool.query('UPDATE kek SET state = $2 WHERE tenant = $1', [tenant, state]);
    for (const each of [custodian, await restart()]) {
      const attempt = each.process('gateway', [key!.id], TEST_USE);
      if (processes) assert.equal((await attempt)[0]!.id, key!.id);
      else await assert.rejects(attempt, { code: 'KEYS_STATE_REFUSED' });
      await assert.rejects(each.protect('gateway', [subject()], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
    }
  });
}

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
  const use = { purpose: 'SYSTEM', correlationId: newUuid() };
  const audit: AuditSink = {
    async record(events) {
      await own.keys!.protect([{ kind: 'ledger', day: '2026-01-31' }, { kind: 'pseudonym' }], use);
      await ledger.record(events);
    },
  };
  const custodian = await restart({ audit });
  own.keys = custodian.ownLedgerKeys();
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const seen = ledger.events.map(({ interaction, actor }) => `${interaction} ${actor.sub}`);
  const access = 'keys.protect clinician-7';
  assert.deepEqual(seen, ['keys.kek.open custodian', access, 'keys.protect custodian', access]);
});

test('[K6] when its own access cannot be recorded, the key that caused it does not leave', async (context) => {
  const { restart, ledger } = await start(context);
  const own: { keys?: ReturnType<Custodian['ownLedgerKeys']> } = {};
  const audit: AuditSink = {
    async record(events) {
      await own.keys!.protect([SPECS.pseudonym], { purpose: 'SYSTEM', correlationId: newUuid() });
      await ledger.record(events);
      ledger.down = true;
    },
  };
  const custodian = await restart({ audit });
  own.keys = custodian.ownLedgerKeys();
  await assert.rejects(custodian.protect('gateway', [SPECS.tenant], TEST_USE), { code: 'LEDGER_UNAVAILABLE' });
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
