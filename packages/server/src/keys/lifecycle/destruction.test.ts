/** Destruction from the order to the certificate, and what keeps it from happening. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { newUuid } from '../../core/index.ts';
import type { KeySpec } from '@keyward/sdk/client';
import { DAY_MS, type KeyDatabase, SPECS, startKeyDatabase, subject } from '../testing.ts';
import { REMAINS, verifyCertificate } from './certificate.ts';
import { startLife, type TestLife, WAITING_MS, WHY } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startLife(context, database.pool);

const STATE_REFUSED = { code: 'KEYS_STATE_REFUSED' };

/** A patient with one key. */
async function patient(at: TestLife) {
  const scope = newUuid();
  const spec: KeySpec = { kind: 'subject', subject: scope };
  return { spec, id: await at.protect(spec), target: `subject/${scope}` };
}

const alarms = ({ ledger }: TestLife) => ledger.events.filter((event) => event.class === 'key.alarm');

const wrappedOf = async (id: string) => {
  const select = 'SELECT state, wrapped, destruction FROM data_key WHERE id = $1';
  return (await database.pool.query(select, [Buffer.from(id, 'hex')])).rows[0] as object;
};

test('[K7] while a key waits for its destruction nobody can use it, and each attempt is counted and raises an alarm', async (context) => {
  const at = await start(context);
  const { spec, id, target } = await patient(at);
  const { destruction, dueAt, keys } = await at.life.order(target, WHY);
  assert.equal(dueAt.getTime(), at.clock.now().getTime() + WAITING_MS);
  assert.deepEqual(keys, [`key/${id}`]);
  await assert.rejects(at.process(id, spec), STATE_REFUSED);
  await assert.rejects(at.protect(spec), STATE_REFUSED);
  const [shown] = (await at.life.show(target)).destructions;
  assert.deepEqual([shown?.id, shown?.state, shown?.attempts], [destruction, 'waiting', 2]);
  assert.deepEqual(
    alarms(at).map(({ rule, keyIds }) => ({ rule, keyIds })),
    [1, 2].map(() => ({ rule: 'keys.destruction.waiting', keyIds: [id] })),
  );
});

test('[K7] neither an accepted risk nor a step brings back what waits for destruction; calling it off does', async (context) => {
  const at = await start(context);
  const { spec, id, target } = await patient(at);
  await at.life.order(target, WHY);
  await at.life.acceptRisk(target, 2, WHY);
  await assert.rejects(at.process(id, spec), STATE_REFUSED);
  for (const step of ['resume', 'deactivate'] as const)
    await assert.rejects(at.life.step(step, target, WHY), { code: 'KEYS_TRANSITION_REFUSED' });
  const { resumed } = await at.life.cancel(target, WHY);
  assert.deepEqual(resumed, [`key/${id}`]);
  assert.equal(await at.protect(spec), id);
  at.clock.pass(WAITING_MS);
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 0, failed: 0 });
  await assert.rejects(at.life.cancel(target, WHY), { code: 'KEYS_REQUEST_ENDED' });
});

test('[K7] an order that is carried out again is the same order; another one is refused while it waits', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  const ordered = await at.life.order(target, WHY);
  assert.deepEqual(await at.life.order(target, WHY), ordered);
  const another = { ...WHY, correlationId: newUuid() };
  await assert.rejects(at.life.order(target, another), { code: 'KEYS_TRANSITION_REFUSED' });
});

test('[K7] what was suspended or compromised before stays so when its destruction is called off', async (context) => {
  const at = await start(context);
  for (const step of ['suspend', 'deactivate', 'compromise'] as const) {
    const { target } = await patient(at);
    await at.life.step(step, target, WHY);
    const [was] = (await at.life.show(target)).versions;
    await at.life.order(target, WHY);
    assert.deepEqual((await at.life.cancel(target, WHY)).resumed, []);
    assert.deepEqual((await at.life.show(target)).versions, [was]);
  }
});

test('[K7] nothing is destroyed before it is due; then its wrapped key is gone, and others stay', async (context) => {
  const at = await start(context);
  const gone = await patient(at);
  const stays = await patient(at);
  await at.life.order(gone.target, WHY);
  at.clock.pass(WAITING_MS - 1);
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 0, failed: 0 });
  at.clock.pass(1);
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 1, kept: 0, failed: 0 });
  assert.deepEqual(await wrappedOf(gone.id), { state: 'destroyed', wrapped: null, destruction: null });
  await assert.rejects(at.process(gone.id, gone.spec), STATE_REFUSED);
  assert.equal(await at.process(stays.id, stays.spec), stays.id);
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 0, failed: 0 });
  await assert.rejects(at.life.order(gone.target, WHY), { code: 'KEYS_TRANSITION_REFUSED' });
});

test('[K11] a shredded patient never gets a key again, whoever asks at once', async (context) => {
  const at = await start(context);
  const { spec, target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  const attempts = Array.from({ length: 10 }, () => at.protect(spec));
  const [, ...answers] = await Promise.allSettled([at.life.destroyDue(at.clock.now()), ...attempts]);
  for (const { status } of answers) assert.equal(status, 'rejected');
  await assert.rejects(at.protect(spec), STATE_REFUSED);
  assert.deepEqual(
    (await at.life.show(target)).versions.map(({ state }) => state),
    ['destroyed'],
  );
});

test('[K11] a shred reaches every version of the patient', async (context) => {
  const at = await start(context);
  const { spec, id, target } = await patient(at);
  await at.life.step('deactivate', target, WHY);
  await database.pool.query("UPDATE data_key SET scope = 'elsewhere' WHERE id = $1", [Buffer.from(id, 'hex')]);
  const next = await at.protect(spec);
  const back = 'UPDATE data_key SET scope = $2 WHERE id = $1';
  await database.pool.query(back, [Buffer.from(id, 'hex'), target.slice('subject/'.length)]);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  const { versions } = await at.life.show(target);
  assert.deepEqual(new Set(versions.map((version) => version.id)), new Set([id, next]));
  for (const { state } of versions) assert.equal(state, 'destroyed');
});

test('[K11] a hold keeps keys from being ordered away, by the name of the key or the patient', async (context) => {
  const at = await start(context);
  const { id, target } = await patient(at);
  for (const held of [target, `key/${id}`]) {
    const { hold } = await at.life.holds.hold(held, WHY);
    for (const each of [target, `key/${id}`]) await assert.rejects(at.life.order(each, WHY), { code: 'KEYS_HELD' });
    await at.life.holds.release(hold, WHY);
    await assert.rejects(at.life.holds.release(hold, WHY), { code: 'KEYS_UNKNOWN_RECORD' });
  }
  await at.life.order(target, WHY);
});

test('[K11] a KEK is not held, since what stands under it moves on with the next rotation', async (context) => {
  const at = await start(context);
  await patient(at);
  await assert.rejects(at.life.holds.hold('kek/1', WHY), { code: 'KEYS_HOLD_LAPSES' });
  assert.deepEqual(await at.life.holds.list(), []);
});

test('[K11] a hold keeps what waits already, with one alarm a day, until it is released', async (context) => {
  const at = await start(context);
  const { id, target } = await patient(at);
  await at.life.order(target, WHY);
  const { hold } = await at.life.holds.hold(`key/${id}`, WHY);
  at.clock.pass(WAITING_MS);
  for (let run = 0; run < 3; run += 1)
    assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 1, failed: 0 });
  assert.deepEqual(
    alarms(at).map(({ rule, code }) => [rule, code]),
    [['keys.destruction.kept', 'KEYS_HELD']],
  );
  at.clock.pass(DAY_MS);
  await at.life.destroyDue(at.clock.now());
  assert.equal(alarms(at).length, 2);
  await at.life.holds.release(hold, WHY);
  assert.equal((await at.life.destroyDue(at.clock.now())).destroyed, 1);
});

test('[K11] a hold that races with the destruction either keeps the key or comes too late and says so', async (context) => {
  const at = await start(context);
  for (let round = 0; round < 5; round += 1) {
    const { target } = await patient(at);
    await at.life.order(target, WHY);
    at.clock.pass(WAITING_MS);
    const [hold] = await Promise.allSettled([at.life.holds.hold(target, WHY), at.life.destroyDue(at.clock.now())]);
    const [version] = (await at.life.show(target)).versions;
    assert.equal(version!.state === 'destroyed', hold.status === 'rejected');
  }
});

test('[K7] a KEK is destroyed only when nothing stands under it', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  await assert.rejects(at.life.order('kek/1', WHY), { code: 'KEYS_IN_USE' });
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  // The key that certificates are signed with stands under it too.
  await assert.rejects(at.life.order('kek/1', WHY), { code: 'KEYS_IN_USE' });
});

test('[K7] a KEK that nothing stands under any more is destroyed like a key', async (context) => {
  const at = await start(context);
  const { keks } = await at.alike();
  const next = await keks.draft(2);
  await at.life.step('deactivate', 'kek/1', WHY);
  const insert = `INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at)
    VALUES ($1, 2, $2, 'active', $3, $4, $5)`;
  const values = [at.tenant, Buffer.from(next.id, 'hex'), next.root, next.wrapped, at.clock.now()];
  await database.pool.query(insert, values);
  // What the ledger was given ahead under the old one.
  await database.pool.query('DELETE FROM data_key WHERE tenant = $1', [at.tenant]);
  await at.life.order('kek/1', WHY);
  at.clock.pass(WAITING_MS);
  assert.equal((await at.life.destroyDue(at.clock.now())).destroyed, 1);
  const { rows } = await database.pool.query('SELECT state, wrapped FROM kek WHERE tenant = $1 ORDER BY version', [
    at.tenant,
  ]);
  assert.deepEqual(rows[0], { state: 'destroyed', wrapped: null });
  assert.equal(rows[1]!.state, 'active');
});

test('[K11] a certificate waits for the backups: while these fail there is none, and the next run makes it', async (context) => {
  const at = await start(context);
  const { target, id } = await patient(at);
  const calls: unknown[] = [];
  const { life } = await at.alike(async (keyIds, tombstone) => {
    calls.push([keyIds, tombstone]);
    if (calls.length === 1) throw new Error('the disk is away');
    return { rewritten: [{ backup: 'b', digest: 'd' }], notReached: [{ backup: 'c', why: 'missing' }] };
  });
  const { destruction } = await life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  assert.equal((await life.destroyDue(at.clock.now())).destroyed, 1);
  await assert.rejects(life.certificate(destruction), { code: 'KEYS_UNKNOWN_RECORD' });
  await life.destroyDue(at.clock.now());
  const { statement } = await life.certificate(destruction);
  assert.deepEqual(statement.backups.notReached, [{ backup: 'c', why: 'missing' }]);
  const [[keyIds, tombstone], again] = calls as [[string[], unknown], unknown];
  assert.deepEqual(keyIds, [id]);
  assert.deepEqual(again, [keyIds, tombstone]);
  const [published] = await life.signing.published();
  assert.equal(verifyCertificate(tombstone, Buffer.from(published!.publicKey, 'hex')), true);
});

test('[K7] what the ledger was sealed with is not destroyed, and targets are keys, KEKs and patients alone', async (context) => {
  const at = await start(context);
  await at.custodian
    .ownLedgerKeys()
    .protect([SPECS.ledger], { tenant: at.tenant, subjects: [], purpose: 'SYSTEM', correlationId: newUuid() });
  const [key] = (await at.life.list({ kind: 'ledger' })).keys;
  await assert.rejects(at.life.order(key!.ref, WHY), { code: 'KEYS_LEDGER_NEEDS' });
  await assert.rejects(at.life.order('tenant', WHY), { code: 'KEYS_REF_INVALID' });
  await assert.rejects(at.life.order(`subject/${newUuid()}`, WHY), { code: 'KEYS_UNKNOWN_KEY' });
});

test('[K7] no record, no destruction: while the ledger fails everything stays, and afterwards it happens', async (context) => {
  const at = await start(context);
  const { id, target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  at.ledger.down = true;
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 0, kept: 0, failed: 1 });
  assert.notEqual(((await wrappedOf(id)) as { wrapped: unknown }).wrapped, null);
  at.ledger.down = false;
  assert.equal((await at.life.destroyDue(at.clock.now())).destroyed, 1);
});

test('[K7] the certificate verifies with the published key, and names order, approvals, times, attempts and entries', async (context) => {
  const at = await start(context);
  const { spec, id, target } = await patient(at);
  const orderedAt = at.clock.now();
  const { destruction, dueAt } = await at.life.order(target, { ...WHY, approvals: 'ab'.repeat(32) });
  await assert.rejects(at.process(id, spec), STATE_REFUSED);
  await assert.rejects(at.life.certificate(destruction), { code: 'KEYS_UNKNOWN_RECORD' });
  at.clock.pass(WAITING_MS + 5);
  await at.life.destroyDue(at.clock.now());
  const certificate = await at.life.certificate(destruction);
  const published = await at.life.signing.published();
  const { publicKey } = published.find(({ keyId }) => keyId === certificate.signature.keyId)!;
  assert.equal(verifyCertificate(certificate, Buffer.from(publicKey, 'hex')), true);
  const { ledgerEntries, installation, ...statement } = certificate.statement;
  assert.deepEqual(statement, {
    type: 'keyward/destruction-certificate/1',
    destruction,
    tenant: at.tenant,
    target,
    keys: [{ id, kind: 'subject', scope: target.slice('subject/'.length), kekVersion: 1 }],
    destroyedAt: at.clock.now().toISOString(),
    method: 'wrapped key erased',
    remains: REMAINS,
    reason: 'for a test',
    orderedBy: 'https://issuer.test operator',
    approvals: 'ab'.repeat(32),
    orderedAt: orderedAt.toISOString(),
    dueAt: dueAt.toISOString(),
    attempts: 1,
    backups: { rewritten: [], notReached: [] },
  });
  const recorded = at.ledger.events.filter(
    (event) => event.resources?.includes(target) && event.class === 'key.lifecycle',
  );
  assert.deepEqual(
    recorded.map((event) => event.id),
    ledgerEntries,
  );
  assert.deepEqual(
    recorded.map((event) => event.interaction),
    ['keys.destroy.order', 'keys.destroy'],
  );
  const { rows } = await database.pool.query<{ id: string }>('SELECT id FROM installation WHERE tenant = $1', [
    at.tenant,
  ]);
  assert.equal(installation, rows[0]?.id ?? null);
});

test('[K7] a destroyed key that turns out to have been known to others keeps that mark', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  await at.life.step('compromise', target, WHY);
  const [version] = (await at.life.show(target)).versions;
  assert.deepEqual([version!.state, version!.compromisedLater], ['destroyed', true]);
});

test('[K7] the signing key is granted to no process', async (context) => {
  const at = await start(context);
  const { target } = await patient(at);
  await at.life.order(target, WHY);
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  const [{ keyId } = { keyId: '' }] = await at.life.signing.published();
  await assert.rejects(at.process(keyId, subject()), { code: 'KEYS_FORBIDDEN' });
});

const PLANT = `
  INSERT INTO destruction
    (id, tenant, target, reason, ordered_by, ordered_at, due_at, state, suspended, correlation_id, approvals, tombstone, signature)
  SELECT $2, tenant, $3, reason, ordered_by, ordered_at, due_at, $4, '{}', correlation_id, approvals, $5, signature
  FROM destruction WHERE id = $1`;

const TAMPERED: Readonly<Record<string, string>> = {
  target: "target = 'kek/1'",
  approvals: "approvals = repeat('cd', 32)",
  'who ordered it': "ordered_by = 'https://issuer.test innocent'",
  'the end of its wait': "due_at = due_at - interval '1 day'",
  'no signature': "signature = '{}'",
};

test('[K7] an order that somebody changed or planted is not carried out, raises an alarm, and stays', async (context) => {
  const at = await start(context);
  for (const [what, change] of Object.entries(TAMPERED)) {
    const { id, target } = await patient(at);
    const { destruction } = await at.life.order(target, WHY);
    await database.pool.query(`UPDATE destruction SET ${change} WHERE id = $1`, [destruction]);
    at.clock.pass(WAITING_MS);
    const sofar = alarms(at).length;
    assert.equal((await at.life.destroyDue(at.clock.now())).destroyed, 0, what);
    assert.deepEqual([alarms(at).length, alarms(at).at(-1)?.code], [sofar + 1, 'KEYS_NOT_AUTHENTIC'], what);
    assert.notEqual(((await wrappedOf(id)) as { wrapped: unknown }).wrapped, null, what);
    await database.pool.query("UPDATE destruction SET state = 'cancelled' WHERE id = $1", [destruction]);
  }
  const [model, victim] = [await patient(at), await patient(at)];
  const { destruction } = await at.life.order(model.target, WHY);
  await database.pool.query(PLANT, [destruction, newUuid(), victim.target, 'waiting', null]);
  at.clock.pass(WAITING_MS);
  assert.deepEqual(await at.life.destroyDue(at.clock.now()), { destroyed: 1, kept: 0, failed: 1 });
  assert.equal(await at.process(victim.id, victim.spec), victim.id);
});

test('[K7] an order may be put off, and is carried out then', async (context) => {
  const at = await start(context);
  const { destruction } = await at.life.order((await patient(at)).target, WHY);
  await database.pool.query("UPDATE destruction SET due_at = due_at + interval '1 day' WHERE id = $1", [destruction]);
  at.clock.pass(WAITING_MS + DAY_MS);
  assert.equal((await at.life.destroyDue(at.clock.now())).destroyed, 1);
});

test('[K7] no certificate for a planted end, nor for a key that is there again', async (context) => {
  const at = await start(context);
  const gone = await patient(at);
  const { destruction } = await at.life.order(gone.target, WHY);
  const held = (await wrappedOf(gone.id)) as { wrapped: Buffer };
  at.clock.pass(WAITING_MS);
  await at.life.destroyDue(at.clock.now());
  const genuine = await database.pool.query<{ tombstone: object }>('SELECT tombstone FROM destruction WHERE id = $1', [
    destruction,
  ]);
  const planted = newUuid();
  const stone = JSON.stringify(genuine.rows[0]!.tombstone);
  await database.pool.query(PLANT, [destruction, planted, (await patient(at)).target, 'done', stone]);
  await database.pool.query('UPDATE destruction SET certificate = NULL WHERE id = $1', [destruction]);
  const revive = "UPDATE data_key SET state = 'active', wrapped = $2 WHERE id = $1";
  await database.pool.query(revive, [Buffer.from(gone.id, 'hex'), held.wrapped]);
  const sofar = alarms(at).length;
  await at.life.destroyDue(at.clock.now());
  for (const each of [destruction, planted])
    await assert.rejects(at.life.certificate(each), { code: 'KEYS_UNKNOWN_RECORD' });
  assert.deepEqual(
    alarms(at)
      .slice(sofar)
      .map(({ rule, code }) => [rule, code]),
    [1, 2].map(() => ['keys.destruction.uncertified', 'KEYS_NOT_AUTHENTIC']),
  );
});
