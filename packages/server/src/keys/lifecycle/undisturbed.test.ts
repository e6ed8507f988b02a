/** What must not stop a destruction that was ordered, nor make it come too soon. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { newUuid } from '../../core/index.ts';
import { DAY_MS, type KeyDatabase, startKeyDatabase, subject } from '../testing.ts';
import { startLife, type TestLife, WAITING_MS, WHY } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startLife(context, database.pool);

/** A patient with one key. */
async function patient(at: TestLife) {
  const scope = newUuid();
  await at.protect(subject(scope));
  return { target: `subject/${scope}` };
}

const alarms = ({ ledger }: TestLife) => ledger.events.filter((event) => event.class === 'key.alarm');

for (const state of ['suspended', 'deactivated', 'compromised', 'destroyed'])
  test(`[K7] a ${state} key for certificates stops no destruction: another takes its place`, async (context) => {
    const at = await start(context);
    const first = await patient(at);
    await at.life.order(first.target, WHY);
    at.clock.pass(WAITING_MS);
    await at.life.destroyDue(at.clock.now());
    const erased = state === 'destroyed' ? ', wrapped = NULL' : '';
    const change = `UPDATE data_key SET state = $2${erased} WHERE tenant = $1 AND kind = 'signature'`;
    await database.pool.query(change, [at.tenant, state]);
    await at.life.order((await patient(at)).target, WHY);
    at.clock.pass(WAITING_MS);
    assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 1, kept: 0, failed: 0 });
    assert.equal((await at.life.signing.published()).length, 2);
  });

test('[K7] what certificates and backups stand on is not destroyed before something has taken its place', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  const { keyId } = (await at.life.signing.published())[0]!;
  const refused = { code: 'KEYS_TRANSITION_REFUSED' };
  await assert.rejects(at.life.order(`key/${keyId}`, WHY), refused);
  await at.custodian.jobs.desk.rotateKey({ kind: 'signature', scope: '' }, WHY);
  await at.life.order(`key/${keyId}`, WHY);
  const backup =
    "UPDATE data_key SET kind = 'backup' WHERE tenant = $1 AND kind = 'signature' AND state = 'active' RETURNING id";
  const { rows } = await database.pool.query<{ id: Buffer }>(backup, [at.tenant]);
  await assert.rejects(at.life.order(`key/${rows[0]!.id.toString('hex')}`, WHY), refused);
});

test('[K7] a destruction that is due and fails raises an alarm, once a day', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await database.pool.query("UPDATE kek SET state = 'suspended' WHERE tenant = $1", [at.tenant]);
  for (let run = 0; run < 3; run += 1)
    assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 0, failed: 1 });
  at.clock.pass(DAY_MS);
  await at.life.destroyDue(at.clock.now());
  assert.deepEqual(
    alarms(at).map(({ rule }) => rule),
    ['keys.destruction.failed', 'keys.destruction.failed'],
  );
});

test('[K7] a wait of seconds is refused as soon as a KEK stands on a real root', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  const { restart } = at;
  const quick = await restart({ clock: at.clock, waitingMs: 5000, audit: at.ledger });
  await database.pool.query("UPDATE kek SET root = 'aws-kms:arn' WHERE tenant = $1", [at.tenant]);
  await assert.rejects(quick.life.order(target, WHY), { code: 'KEYS_TRANSITION_REFUSED' });
  await database.pool.query("UPDATE kek SET root = 'local:-' WHERE tenant = $1", [at.tenant]);
  await quick.life.order(target, WHY);
});
