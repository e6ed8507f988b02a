/** Keys that were destroyed stay so, whatever a row says about them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid } from '../core/index.ts';
import { type KeyDatabase, startCustodian, startKeyDatabase, subject, tamperWith, TEST_USE } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const WHY = { by: { issuer: 'https://issuer.test', sub: 'operator' }, reason: 'for a test', correlationId: newUuid() };

/** A custodian that runs, and one on the same database; the patient is shredded by one of them. */
async function shredded(context: Parameters<typeof startCustodian>[0]) {
  const { tenant, restart } = await startCustodian(context, database.pool);
  const [running, other] = [await restart({ waitingMs: 0 }), await restart({ waitingMs: 0 })];
  const spec = subject();
  const [key] = await running.protect('gateway', [spec], TEST_USE);
  const select = 'SELECT wrapped FROM data_key WHERE id = $1';
  const { rows } = await database.pool.query<{ wrapped: Buffer }>(select, [Buffer.from(key!.id, 'hex')]);
  await running.life.order(`subject/${(spec as { subject: string }).subject}`, WHY);
  assert.equal((await other.life.destroyDue(new Date())).destroyed, 1);
  const revive = () =>
    tamperWith(
      database.pool,
      tenant,
      `state = 'active', wrapped = '\\x${rows[0]!.wrapped.toString('hex')}'`,
      `id = '\\x${key!.id}'`,
    );
  return { running, restart, tenant, id: key!.id, spec, revive };
}

const WITNESSES: Readonly<Record<string, string>> = {
  'its history': "DELETE FROM destruction WHERE tenant = '$1'",
  'the tombstone': "DELETE FROM key_transition WHERE tenant = '$1'",
};

for (const [witness, forget] of Object.entries(WITNESSES))
  test(`[K11] a destroyed key that somebody wrote back does not open after a restart: ${witness} tells`, async (context) => {
    const { id, spec, tenant, restart, revive } = await shredded(context);
    await revive();
    await database.pool.query(forget.replace('$1', tenant));
    const custodian = await restart();
    await assert.rejects(custodian.process('gateway', [id], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
    await assert.rejects(custodian.protect('gateway', [spec], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
  });

test('[K11] a custodian that runs hears of the destruction, and believes no row after it', async (context) => {
  const { running, id, revive } = await shredded(context);
  running.forget({ ids: [id], specs: [] });
  await sleep(300);
  await revive();
  await assert.rejects(running.process('gateway', [id], TEST_USE), { code: 'KEYS_STATE_REFUSED' });
});
