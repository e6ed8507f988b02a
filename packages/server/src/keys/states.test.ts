/** What a custodian does with keys and KEKs in each state of their life. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { type KeyDatabase, SPECS, startCustodian, startKeyDatabase, subject, tamperWith, TEST_USE } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startCustodian(context, database.pool);
const tamper = (tenant: string, set: string, where?: string) => tamperWith(database.pool, tenant, set, where);

test('[K1] beside keys at the end of their life the active one protects', async (context) => {
  const { custodian, tenant } = await start(context);
  const [old] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await tamper(tenant, "state = 'deactivated', kind = 'cursor'");
  const [active] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  await tamper(tenant, "kind = 'tenant'", "kind = 'cursor'");
  assert.equal((await custodian.protect('gateway', [SPECS.tenant], TEST_USE))[0]!.id, active!.id);
  assert.equal((await custodian.process('gateway', [old!.id], TEST_USE))[0]!.id, old!.id);
});

const STATES: Record<string, { readonly processes: boolean }> = {
  'pre-activation': { processes: false },
  suspended: { processes: false },
  deactivated: { processes: true },
  compromised: { processes: false },
  destroyed: { processes: false },
};

/** The database refuses rows that are destroyed and still hold a key. */
const ERASED: Readonly<Record<string, string>> = { destroyed: ', wrapped = NULL' };

for (const [state, { processes }] of Object.entries(STATES)) {
  test(`[K1] a ${state} data key ${processes ? 'still processes' : 'does not process'}, never protects, and is not replaced in silence`, async (context) => {
    const { custodian, tenant } = await start(context);
    const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    await tamper(tenant, `state = '${state}'${ERASED[state] ?? ''}`);
    const attempt = custodian.process('gateway', [key!.id], TEST_USE);
    if (processes) assert.equal((await attempt)[0]!.id, key!.id);
    else await assert.rejects(attempt, { code: 'KEYS_STATE_REFUSED' });
    const beside = [SPECS.tenant, subject()];
    await assert.rejects(custodian.protect('gateway', beside, TEST_USE), { code: 'KEYS_STATE_REFUSED' });
    const { rows } = await database.pool.query('SELECT FROM data_key WHERE tenant = $1', [tenant]);
    assert.equal(rows.length, 1);
  });

  test(`[K1] under a ${state} KEK data keys ${processes ? 'still open' : 'do not open'} and none is made, also after a restart`, async (context) => {
    const { custodian, tenant, restart } = await start(context);
    const [key] = await custodian.protect('gateway', [SPECS.tenant], TEST_USE);
    await database.pool.query(`UPDATE kek SET state = $2${ERASED[state] ?? ''} WHERE tenant = $1`, [tenant, state]);
    for (const each of [custodian, await restart()]) {
      const attempt = each.process('gateway', [key!.id], TEST_USE);
      if (processes) assert.equal((await attempt)[0]!.id, key!.id);
      else await assert.rejects(attempt, { code: 'KEYS_STATE_REFUSED' });
      await assert.rejects(each.protect('gateway', [subject()], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
    }
  });
}
