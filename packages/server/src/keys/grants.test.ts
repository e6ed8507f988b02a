/** Who gets keys of which kinds for what, by the custodian on a real database. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import type { KeyOperation, KeySpec, KeyUse } from '@keyward/sdk/client';
import type { DataKey } from '@keyward/sdk/seal';
import { newUuid, PURPOSES_OF_USE } from '../core/index.ts';
import type { RemoteCaller } from './grants.ts';
import {
  DAY_MS,
  dayFromNow,
  type KeyDatabase,
  SPECS,
  startCustodian,
  startKeyDatabase,
  subject,
  TEST_USE,
} from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startCustodian(context, database.pool);

const MAY_USE: Readonly<Record<RemoteCaller, Readonly<Record<KeyOperation, readonly KeySpec['kind'][]>>>> = {
  gateway: {
    protect: ['subject', 'tenant', 'index', 'cursor', 'ledger', 'pseudonym'],
    process: ['subject', 'tenant', 'cursor'],
  },
  store: { protect: ['store'], process: ['store'] },
  admin: { protect: ['ledger', 'pseudonym'], process: ['ledger'] },
};

for (const [caller, kinds] of Object.entries(MAY_USE) as [RemoteCaller, (typeof MAY_USE)[RemoteCaller]][]) {
  test(`[K4] the ${caller} gets keys of its kinds for its operations and no others`, async (context) => {
    const { custodian, ledger } = await start(context);
    const owner = (kind: KeySpec['kind']) => (kind === 'store' ? 'store' : 'gateway');
    for (const [kind, spec] of Object.entries(SPECS) as [KeySpec['kind'], KeySpec][]) {
      const [key] = await custodian.protect(owner(kind), [spec], TEST_USE);
      const attempts: Record<KeyOperation, () => Promise<DataKey[]>> = {
        protect: () => custodian.protect(caller, [spec], TEST_USE),
        process: () => custodian.process(caller, [key!.id], TEST_USE),
      };
      for (const operation of ['protect', 'process'] as const) {
        if (kinds[operation].includes(kind)) assert.equal((await attempts[operation]())[0]!.id, key!.id);
        else await assert.rejects(attempts[operation](), { code: 'KEYS_FORBIDDEN' });
      }
    }
    const denials = ledger.events.filter((event) => event.class === 'denial');
    assert.equal(denials.length, 2 * Object.keys(SPECS).length - kinds.protect.length - kinds.process.length);
    for (const denial of denials) {
      assert.equal(denial.decision, 'deny');
      assert.equal(denial.code, 'KEYS_FORBIDDEN');
      assert.equal(denial.actor.client, caller);
    }
  });
}

test('[K4] nobody gets a key to write the ledger of another day with, save the neighbours of today', async (context) => {
  const { custodian, tenant } = await start(context);
  const protect = (caller: RemoteCaller, day: string) => custodian.protect(caller, [{ kind: 'ledger', day }], TEST_USE);
  for (const days of [-1, 0, 1]) assert.equal((await protect('gateway', dayFromNow(days))).length, 1);
  for (const day of [dayFromNow(-2), dayFromNow(2), '2020-02-02', 'no day'])
    for (const caller of ['gateway', 'admin'] as const)
      await assert.rejects(protect(caller, day), { code: 'KEYS_FORBIDDEN' });
  const { rows } = await database.pool.query("SELECT FROM data_key WHERE tenant = $1 AND kind = 'ledger'", [tenant]);
  assert.equal(rows.length, 3);
});

test('[L1] the keys of earlier days still open the ledger', async (context) => {
  const { custodian, restart } = await start(context);
  const [key] = await custodian.protect('gateway', [SPECS.ledger], TEST_USE);
  const nextYear = await restart({ clock: { now: () => new Date(Date.now() + 365 * DAY_MS) } });
  assert.equal((await nextYear.process('admin', [key!.id], TEST_USE))[0]!.id, key!.id);
});

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

const patients = [newUuid(), newUuid()] as const;

/** Statements that do not fit the key or the process. */
const MISSTATED: Readonly<Record<string, { readonly caller: RemoteCaller; readonly change: Partial<KeyUse> }>> = {
  'another tenant': { caller: 'gateway', change: { tenant: 'another-tenant' } },
  'another patient': { caller: 'gateway', change: { subjects: [patients[1]] } },
  'no patient': { caller: 'gateway', change: { subjects: [] } },
  'a purpose that HL7 does not define': { caller: 'gateway', change: { purpose: 'CURIOSITY' } },
  'a purpose in other letters': { caller: 'gateway', change: { purpose: 'Treat' } },
  'a purpose of people at the store': { caller: 'store', change: { purpose: 'TREAT' } },
  'a purpose of people at admin': { caller: 'admin', change: { purpose: 'HOPERAT' } },
};

const SPEC_OF: Readonly<Record<RemoteCaller, KeySpec>> = {
  gateway: subject(patients[0]),
  store: SPECS.store,
  admin: SPECS.ledger,
};

for (const [what, { caller, change }] of Object.entries(MISSTATED)) {
  test(`[K4] a use that states ${what} gets no key, and is recorded`, async (context) => {
    const { custodian, ledger, tenant } = await start(context);
    const honest: KeyUse = { ...TEST_USE, tenant, subjects: patients, purpose: 'SYSTEM' };
    const spec = SPEC_OF[caller];
    const misstated = { ...honest, ...change };
    await assert.rejects(custodian.protect(caller, [spec], misstated), { code: 'KEYS_USE_REFUSED' });
    assert.equal((await database.pool.query('SELECT FROM data_key WHERE tenant = $1', [tenant])).rowCount, 0);
    const [key] = await custodian.protect(caller, [spec], honest);
    await assert.rejects(custodian.process(caller, [key!.id], misstated), { code: 'KEYS_USE_REFUSED' });
    const denials = ledger.events.filter((event) => event.class === 'denial');
    assert.deepEqual(
      denials.map(({ code, actor, correlationId }) => [code, actor.client, correlationId]),
      Array.from({ length: 2 }, () => ['KEYS_USE_REFUSED', caller, TEST_USE.correlationId]),
    );
  });
}

test('[K6] a key of a patient who is not stated does not leave beside those of patients who are', async (context) => {
  const { custodian, tenant } = await start(context);
  const use: KeyUse = { ...TEST_USE, tenant, subjects: patients };
  const keys = await custodian.protect('gateway', [subject(patients[0]), subject(patients[1]), SPECS.tenant], use);
  assert.deepEqual(
    keys.map((key) => key.subject),
    [...patients, undefined],
  );
  const ids = keys.map(({ id }) => id);
  const one: KeyUse = { ...use, subjects: [patients[0]] };
  await assert.rejects(custodian.process('gateway', ids, one), { code: 'KEYS_USE_REFUSED' });
  assert.equal((await custodian.process('gateway', [ids[0]!, ids[2]!], one)).length, 2);
});

test('[K6] every purpose of use that HL7 defines is one for the gateway, and so is its own work', async (context) => {
  const { custodian, tenant } = await start(context);
  for (const purpose of ['SYSTEM', ...PURPOSES_OF_USE]) {
    const keys = await custodian.protect('gateway', [SPECS.tenant], { ...TEST_USE, tenant, purpose });
    assert.equal(keys.length, 1);
  }
});
