/** Steps in the life of keys: what an operator may do to them, and what becomes of their use. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { newUuid } from '../../core/index.ts';
import { DAY_MS, dayFromNow, type KeyDatabase, SPECS, startKeyDatabase, subject, TEST_USE } from '../testing.ts';
import { startLife, type TestLife, WHY } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const start = (context: TestContext) => startLife(context, database.pool);

const STATE_REFUSED = { code: 'KEYS_STATE_REFUSED' };
const TRANSITION_REFUSED = { code: 'KEYS_TRANSITION_REFUSED' };

const stateOf = async ({ life }: TestLife, ref: string) => (await life.show(ref)).versions.map(({ state }) => state);

test('[K1] a suspended key protects nothing and opens nothing, and after it is resumed it does both', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  await at.life.step('suspend', 'tenant', WHY);
  await assert.rejects(at.protect(SPECS.tenant), STATE_REFUSED);
  await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
  await at.life.step('resume', 'tenant', WHY);
  assert.equal(await at.protect(SPECS.tenant), id);
  assert.equal(await at.process(id, SPECS.tenant), id);
});

test('[K1] a deactivated key still opens, and there is no way back', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  await at.life.step('deactivate', `key/${id}`, WHY);
  assert.equal(await at.process(id, SPECS.tenant), id);
  await assert.rejects(at.protect(SPECS.tenant), STATE_REFUSED);
  for (const step of ['activate', 'suspend', 'resume', 'deactivate'] as const)
    await assert.rejects(at.life.step(step, `key/${id}`, WHY), TRANSITION_REFUSED, step);
  assert.deepEqual(await stateOf(at, `key/${id}`), ['deactivated']);
});

test('[K1] each change is kept with time, actor and reason, and stands in the ledger before it happens', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  let recorded: readonly string[] = [];
  at.ledger.before = async () => void (recorded = await stateOf(at, 'tenant'));
  at.clock.pass(1000);
  await at.life.step('suspend', 'tenant', WHY);
  assert.deepEqual(recorded, ['active']);
  const { transitions } = await at.life.show('tenant');
  assert.deepEqual(transitions, [
    {
      ref: `key/${id}`,
      from: 'active',
      to: 'suspended',
      at: at.clock.now(),
      actor: 'https://issuer.test operator',
      reason: 'for a test',
      correlationId: WHY.correlationId,
    },
  ]);
  const event = at.ledger.events.at(-1)!;
  assert.equal(event.class, 'key.lifecycle');
  assert.equal(event.interaction, 'keys.suspend');
  assert.equal(event.rule, 'keys.lifecycle.active.suspended');
  assert.equal(event.reason, 'for a test');
  assert.deepEqual([event.resources, event.keyIds], [['tenant'], [id]]);
});

test('[K1] while the ledger fails nothing changes', async (context) => {
  const at = await start(context);
  await at.protect(SPECS.tenant);
  at.ledger.down = true;
  await assert.rejects(at.life.step('suspend', 'tenant', WHY), { code: 'LEDGER_UNAVAILABLE' });
  await assert.rejects(at.life.holds.hold('tenant', WHY), { code: 'LEDGER_UNAVAILABLE' });
  await assert.rejects(at.life.order(`kek/1`, WHY), { code: 'KEYS_IN_USE' });
  at.ledger.down = false;
  assert.deepEqual(await stateOf(at, 'tenant'), ['active']);
  assert.deepEqual(await at.life.holds.list(), []);
});

test('[K1] of two steps at once one wins, and the other is judged anew', async (context) => {
  const at = await start(context);
  await at.protect(SPECS.tenant);
  const both = await Promise.allSettled([
    at.life.step('suspend', 'tenant', WHY),
    at.life.step('deactivate', 'tenant', WHY),
    at.life.step('suspend', 'tenant', WHY),
  ]);
  const { transitions } = await at.life.show('tenant');
  const states = transitions.map(({ from, to }) => `${from} ${to}`).join();
  assert.match(states, /^active suspended(,suspended deactivated)?$|^active deactivated$/);
  const fulfilled = both.filter(({ status }) => status === 'fulfilled').length;
  assert.equal(fulfilled, transitions.length);
  for (const each of both)
    if (each.status === 'rejected') assert.equal((each.reason as { code: string }).code, 'KEYS_TRANSITION_REFUSED');
});

test('[K1] a compromise of a spec reaches all its versions, and asking for one of them raises an alarm', async (context) => {
  const at = await start(context);
  const spec = subject();
  const id = await at.protect(spec);
  const ref = `subject/${(spec as { subject: string }).subject}`;
  await at.life.step('compromise', ref, WHY);
  await assert.rejects(at.process(id, spec), STATE_REFUSED);
  const alarms = at.ledger.events.filter((event) => event.class === 'key.alarm');
  assert.deepEqual(
    alarms.map(({ rule, keyIds, code, actor }) => ({ rule, keyIds, code, sub: actor.sub })),
    [{ rule: 'keys.compromised', keyIds: [id], code: 'KEYS_STATE_REFUSED', sub: TEST_USE.actor }],
  );
  await assert.rejects(at.life.step('resume', ref, WHY), TRANSITION_REFUSED);
});

test('[K1] under a suspended KEK nothing is made, protected or opened, but the ledger can still record the way back', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  const own = at.custodian.ownLedgerKeys();
  await at.life.step('suspend', 'kek/1', WHY);
  await assert.rejects(at.protect(SPECS.tenant), STATE_REFUSED);
  await assert.rejects(at.protect(subject()), STATE_REFUSED);
  await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
  at.clock.pass(20 * DAY_MS);
  const specs = [{ kind: 'ledger', day: dayFromNow(20) } as const];
  assert.equal((await own.protect(specs, { ...TEST_USE, purpose: 'SYSTEM' })).length, 1);
  await at.life.step('resume', 'kek/1', WHY);
  assert.equal(await at.process(id, SPECS.tenant), id);
});

for (const step of ['suspend', 'compromise'] as const) {
  test(`[K1] after ${step} of the active KEK every process can record what it does, and protect nothing else`, async (context) => {
    const at = await start(context);
    const use = { ...TEST_USE, tenant: at.tenant, purpose: 'SYSTEM' };
    const ledger = { kind: 'ledger', day: dayFromNow(0) } as const;
    await at.custodian.protect('store', [SPECS.store], use);
    await at.custodian.protect('gateway', [SPECS.index, ledger, SPECS.pseudonym], use);
    await at.life.step(step, 'kek/1', WHY);
    for (const process of ['gateway', 'admin'] as const)
      assert.equal((await at.custodian.protect(process, [ledger, SPECS.pseudonym], use)).length, 2);
    await assert.rejects(at.custodian.protect('gateway', [ledger, SPECS.index], use), STATE_REFUSED);
    await assert.rejects(at.custodian.protect('store', [SPECS.store], use), STATE_REFUSED);
  });
}

test('[K1] what the ledger writes with is not stopped: nothing could be recorded any more', async (context) => {
  const at = await start(context);
  const specs = [{ kind: 'ledger', day: dayFromNow(0) } as const, SPECS.pseudonym];
  await at.custodian.ownLedgerKeys().protect(specs, TEST_USE);
  for (const target of [`ledger/${dayFromNow(0)}`, 'pseudonym'])
    for (const step of ['suspend', 'deactivate', 'compromise'] as const)
      await assert.rejects(at.life.step(step, target, WHY), { code: 'KEYS_LEDGER_NEEDS' }, `${step} ${target}`);
});

test('[K1] unknown keys and texts that name none are refused', async (context) => {
  const at = await start(context);
  for (const target of ['kek/9', `key/${'0'.repeat(32)}`, `subject/${newUuid()}`])
    await assert.rejects(at.life.step('suspend', target, WHY), { code: 'KEYS_UNKNOWN_KEY' }, target);
  await assert.rejects(at.life.step('suspend', 'kek/0', WHY), { code: 'KEYS_REF_INVALID' });
});

for (const step of ['suspend', 'compromise'] as const) {
  test(`[K1] after ${step} an accepted risk opens what was sealed before, by name, until it expires, and protects nothing`, async (context) => {
    const at = await start(context);
    const id = await at.protect(SPECS.tenant);
    await at.life.step(step, 'tenant', WHY);
    const { acceptance } = await at.life.acceptRisk('tenant', 2, WHY);
    assert.equal(await at.process(id, SPECS.tenant), id);
    assert.equal(at.ledger.events.at(-1)!.rule, `keys.risk.${acceptance}`);
    await assert.rejects(at.protect(SPECS.tenant), STATE_REFUSED);
    at.clock.pass(2 * DAY_MS);
    await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
  });
}

test('[K1] who accepted a suspension did not accept the compromise that came after it', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  await at.life.step('suspend', 'tenant', WHY);
  at.clock.pass(1);
  await at.life.acceptRisk('tenant', 2, WHY);
  assert.equal(await at.process(id, SPECS.tenant), id);
  at.clock.pass(1);
  await at.life.step('compromise', 'tenant', WHY);
  await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
});

test('[K1] under a compromised KEK a suspended key needs both risks accepted, each by its own name', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  await at.life.step('suspend', 'tenant', WHY);
  await at.life.step('compromise', 'kek/1', WHY);
  const { acceptance } = await at.life.acceptRisk('kek/1', 2, WHY);
  await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
  await at.life.acceptRisk(`key/${id}`, 2, WHY);
  assert.equal(await at.process(id, SPECS.tenant), id);
  assert.match(at.ledger.events.at(-1)!.rule, new RegExp(acceptance));
});

test('[K1] a state that no transition led to is covered by no acceptance', async (context) => {
  const at = await start(context);
  const id = await at.protect(SPECS.tenant);
  await database.pool.query("UPDATE data_key SET state = 'suspended' WHERE tenant = $1", [at.tenant]);
  await at.life.acceptRisk('tenant', 2, WHY);
  await assert.rejects(at.process(id, SPECS.tenant), STATE_REFUSED);
});

test('[K1] the risk of a key that needs nobody to accept it is not accepted', async (context) => {
  const at = await start(context);
  await at.protect(SPECS.tenant);
  for (const target of ['tenant', 'kek/1'])
    await assert.rejects(at.life.acceptRisk(target, 2, WHY), TRANSITION_REFUSED);
});

test('[K1] keys are listed and shown without their bytes', async (context) => {
  const at = await start(context);
  for (let patient = 0; patient < 3; patient += 1) await at.protect(subject());
  const id = await at.protect(SPECS.tenant);
  const list = await at.life.list({});
  assert.deepEqual(list.counts, [
    { kind: 'subject', state: 'active', keys: 3 },
    { kind: 'tenant', state: 'active', keys: 1 },
  ]);
  assert.deepEqual(
    list.keks.map(({ ref, state }) => ({ ref, state })),
    [{ ref: 'kek/1', state: 'active' }],
  );
  const first = await at.life.list({ kind: 'subject', limit: 2 });
  const second = await at.life.list({ kind: 'subject', limit: 2, after: first.next! });
  assert.deepEqual([first.keys.length, second.keys.length, second.next], [2, 1, null]);
  assert.equal((await at.life.list({ kind: 'subject', state: 'suspended' })).keys.length, 0);
  const text = JSON.stringify([list, first, await at.life.show(`key/${id}`), await at.life.show('kek/1')]);
  const { rows } = await database.pool.query<{ wrapped: Buffer }>('SELECT wrapped FROM data_key WHERE tenant = $1', [
    at.tenant,
  ]);
  for (const { wrapped } of rows)
    for (const encoding of ['hex', 'base64'] as const)
      assert.ok(!text.includes(wrapped.toString(encoding).slice(0, 32)));
});
