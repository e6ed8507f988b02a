/** Who gets keys of which kinds for what, by the custodian on a real database. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import type { KeyOperation, KeySpec } from '@keyward/sdk/client';
import type { DataKey } from '@keyward/sdk/seal';
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
