/** A key database that was put back: noticed, refused, and accepted only by a quorum. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid, systemClock } from '../../core/index.ts';
import { signEnrolment } from '../control/request-terms.ts';
import { callBy, ISSUER, rawKey, REASON } from '../control/testing.ts';
import { SPECS, startCustodian, TEST_USE } from '../testing.ts';
import { acceptRollback } from './accept.ts';
import { openBackup } from './reader.ts';
import { watchRollback } from './rollback.ts';
import {
  backUp,
  type Hierarchy,
  newHierarchy,
  orderDue,
  type RecoveryDatabase,
  startRecoveryDatabase,
  WAITING_MS,
} from './testing.ts';

const CODE = (code: string) => ({ name: 'KeywardError', code });
const ROLLED_BACK = CODE('KEYS_ROLLED_BACK');

let database: RecoveryDatabase;
before(async () => {
  database = await startRecoveryDatabase();
});
after(() => database.stop());

async function watched(context: TestContext) {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const directory = join(hierarchy.directory, '..', 'custodian');
  const noticed: string[] = [];
  const watch = async () => {
    const started = await watchRollback({
      ...hierarchy,
      directory,
      onRolledBack: () => void noticed.push('rolled back'),
    });
    context.after(() => started.stop());
    return started;
  };
  return { hierarchy, directory, noticed, watch, mark: join(directory, 'high-water') };
}

type Place = Pick<Hierarchy, 'pool' | 'tenant'>;

/** A change of the life cycle, as any transition makes one. */
const change = ({ pool, tenant }: Place) =>
  pool.query(
    `INSERT INTO key_transition (id, tenant, kek_version, to_state, at, actor, reason, correlation_id)
     VALUES ($1, $2, 1, 'active', now(), 'test', 'test', $1)`,
    [newUuid(), tenant],
  );

const generationOf = async ({ pool, tenant }: Place): Promise<bigint> =>
  BigInt((await pool.query('SELECT generation FROM installation WHERE tenant = $1', [tenant])).rows[0].generation);

const putBack = ({ pool, tenant }: Place, generation: bigint) =>
  pool.query('UPDATE installation SET generation = $2 WHERE tenant = $1', [tenant, String(generation)]);

test('[K5] the generation grows once with each transaction that changes the life cycle', async (context) => {
  const { hierarchy } = await watched(context);
  const first = await generationOf(hierarchy);
  await change(hierarchy);
  assert.equal(await generationOf(hierarchy), first + 1n);
  const client = await hierarchy.pool.connect();
  await client.query('BEGIN');
  for (let count = 0; count < 3; count++)
    await client.query(
      `INSERT INTO operator_role (tenant, issuer, sub, role, granted_by, granted_at) VALUES ($1, 'i', $2, 'auditor', 't', now())`,
      [hierarchy.tenant, String(count)],
    );
  await client.query('COMMIT');
  client.release();
  assert.equal(await generationOf(hierarchy), first + 2n);
});

test('[K5] a database that was put back while the custodian runs is noticed, told once, and refused', async (context) => {
  const { hierarchy, noticed, watch } = await watched(context);
  const running = await watch();
  const old = await generationOf(hierarchy);
  await change(hierarchy);
  await running.advance();
  running.requireNewest();
  await putBack(hierarchy, old);
  await assert.rejects(running.advance(), ROLLED_BACK);
  await assert.rejects(running.advance(), ROLLED_BACK);
  assert.deepEqual(noticed, ['rolled back']);
  assert.throws(() => running.requireNewest(), ROLLED_BACK);
  await assert.rejects(watch(), ROLLED_BACK, 'nor does it start');
});

test('[K5] what the watch does not note itself, its timer notes within seconds', async (context) => {
  const { hierarchy, watch, mark } = await watched(context);
  await watch();
  await change(hierarchy);
  const expected = String(await generationOf(hierarchy));
  await eventually(() => JSON.parse(readFileSync(mark, 'utf8')).generation === expected);
});

test('[K5] a mark that is altered, of another installation or gone is no mark', async (context) => {
  const { hierarchy, watch, mark } = await watched(context);
  (await watch()).stop();
  await change(hierarchy);
  (await watch()).stop();
  const genuine = readFileSync(mark, 'utf8');
  const lower = { ...JSON.parse(genuine), generation: '0' };
  const elsewhere = await watched(context);
  (await elsewhere.watch()).stop();
  const cases = {
    lower: JSON.stringify(lower),
    'no JSON': 'x',
    'another installation': readFileSync(elsewhere.mark, 'utf8'),
  };
  for (const [what, text] of Object.entries(cases)) {
    writeFileSync(mark, text);
    await assert.rejects(watch(), ROLLED_BACK, what);
  }
  rmSync(mark);
  await assert.rejects(watch(), ROLLED_BACK, 'gone');
  writeFileSync(mark, genuine);
  await watch();
});

test('[K5] a quorum of share holders accepts what is there; counters are not trusted then', async (context) => {
  const { hierarchy, directory, watch } = await watched(context);
  const made = await backUp(hierarchy);
  (await watch()).stop();
  await change(hierarchy);
  (await watch()).stop();
  await putBack(hierarchy, 0n);
  await assert.rejects(watch(), ROLLED_BACK);
  await using file = await openBackup(join(hierarchy.directory, made.file));
  const target = await orderDue(hierarchy);
  const options = { ...hierarchy, clock: systemClock, waitingMs: WAITING_MS, directory, file };
  await assert.rejects(acceptRollback({ ...options, shares: made.shares.slice(0, 2) }), CODE('KEYS_BACKUP_INVALID'));
  const other = await newHierarchy(context, database.pool, 1);
  const foreign = await backUp(other);
  await using theirs = await openBackup(join(other.directory, foreign.file));
  const stranger = acceptRollback({ ...options, file: theirs, shares: foreign.shares });
  await assert.rejects(stranger, CODE('KEYS_BACKUP_INVALID'), 'a quorum of another installation');
  const [put, ...more] = await acceptRollback({ ...options, shares: made.shares.slice(1, 4) });
  assert.deepEqual([put?.target, more], [target, []]);
  assert.ok(put!.dueAt.getTime() > Date.now() + WAITING_MS / 2, 'whoever cancelled it can do so again');
  await watch();
  const { rows } = await hierarchy.pool.query("SELECT uses FROM data_key WHERE tenant = $1 AND kind = 'subject'", [
    hierarchy.tenant,
  ]);
  assert.deepEqual(rows, [{ uses: String(0.75 * 2 ** 32) }]);
});

test('[K5] a custodian whose database was put back hands out no key, and says so to the ledger', async (context) => {
  const { custodian, ledger, tenant, rootFile, restart } = await startCustodian(context, database.pool);
  const directory = join(rootFile, '..', '..', 'custodian');
  const guard = await custodian.guardAgainstRollback(directory);
  context.after(() => guard.stop());
  const ask = () => custodian.protect('gateway', [SPECS.tenant], TEST_USE);
  const hierarchy = { pool: database.pool, tenant };
  await change(hierarchy);
  await ask();
  await eventually(() => JSON.parse(readFileSync(join(directory, 'high-water'), 'utf8')).generation === '1');
  await putBack(hierarchy, 0n);
  const alarms = () => ledger.events.filter(({ code }) => code === 'KEYS_ROLLED_BACK');
  await eventually(() => alarms().length === 1);
  await assert.rejects(ask(), ROLLED_BACK);
  guard.stop();
  await assert.rejects((await restart()).guardAgainstRollback(directory), ROLLED_BACK);
  assert.deepEqual(
    alarms().map(({ class: eventClass, interaction, decision }) => [eventClass, interaction, decision]),
    [
      ['key.alarm', 'keys.rolled-back', 'deny'],
      ['key.alarm', 'keys.rolled-back', 'deny'],
    ],
  );
});

test('[K5] what operators do about operators is noted before the answer, and refused on a database that was put back', async (context) => {
  const { custodian, tenant, rootFile } = await startCustodian(context, database.pool);
  const directory = join(rootFile, '..', '..', 'custodian');
  const guard = await custodian.guardAgainstRollback(directory);
  // What its timer notes later counts for nothing here.
  guard.stop();
  const management = custodian.manage({
    verifyToken: async () => ({ issuer: ISSUER, sub: 'approver-1', role: 'admin', mfa: true }),
    approvals: { needed: 1, ttlHours: 1 },
    issuers: [ISSUER],
    firstOperators: [{ issuer: ISSUER, sub: 'approver-1', roles: ['approver'] }],
  });
  await management.start();
  const enrol = () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const proof = signEnrolment(privateKey, tenant, { issuer: ISSUER, sub: 'approver-1' }).toString('base64url');
    return management.act(
      'enroll',
      callBy('token', { params: { publicKey: rawKey(publicKey), proof }, reason: REASON }),
    );
  };
  const place = { pool: database.pool, tenant };
  const generation = await generationOf(place);
  await enrol();
  const grown = await generationOf(place);
  assert.ok(grown > generation, 'an enrolment is what an old backup would undo');
  assert.equal(JSON.parse(readFileSync(join(directory, 'high-water'), 'utf8')).generation, String(grown));
  await database.pool.query('DELETE FROM approver_key WHERE tenant = $1', [tenant]);
  await putBack(place, 0n);
  // It finds out while it notes the first; from then on nothing begins.
  await assert.rejects(enrol(), ROLLED_BACK);
  await database.pool.query('DELETE FROM approver_key WHERE tenant = $1', [tenant]);
  await assert.rejects(enrol(), ROLLED_BACK);
  const { rowCount } = await database.pool.query('SELECT FROM approver_key WHERE tenant = $1', [tenant]);
  assert.equal(rowCount, 0);
});

const COUNTERS = {
  'data keys that are gone': 'DELETE FROM data_key WHERE tenant = $1 AND scope <> $2',
  'seals that were not promised': 'UPDATE data_key SET uses = 0 WHERE tenant = $1 AND scope <> $2',
  'wraps that were not promised': 'UPDATE kek SET uses = 0 WHERE tenant = $1 AND $2::text IS NOT NULL',
};

for (const [what, older] of Object.entries(COUNTERS))
  test(`[K5] an old database that differs by ${what} is noticed at the start`, async (context) => {
    const { hierarchy, watch } = await watched(context);
    (await watch()).stop();
    await hierarchy.dataKeys.insert(await hierarchy.dataKeys.draft([{ kind: 'tenant', scope: '' }]), [1]);
    (await watch()).stop();
    (await watch()).stop();
    await hierarchy.pool.query(older, [hierarchy.tenant, hierarchy.sealed[0]!.scope]);
    await assert.rejects(watch(), ROLLED_BACK);
  });

test('[K5] the mark is written under the active KEK, so that a newer one that never was in use may be destroyed', async (context) => {
  const { hierarchy, watch, mark } = await watched(context);
  const { pool, tenant, keks } = hierarchy;
  const running = await watch();
  const { id, root, wrapped } = await keks.draft(2);
  await pool.query(
    `INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at) VALUES ($1, 2, $2, 'pre-activation', $3, $4, now())`,
    [tenant, Buffer.from(id, 'hex'), root, wrapped],
  );
  await running.advance();
  running.stop();
  assert.equal(JSON.parse(readFileSync(mark, 'utf8')).writtenUnder, 1);
  await pool.query(`UPDATE kek SET state = 'destroyed', wrapped = NULL WHERE tenant = $1 AND version = 2`, [tenant]);
  await watch();
});

test('[K5] another active KEK writes the mark anew; a custodian that was off until the old one was destroyed starts', async (context) => {
  const { hierarchy, watch, mark } = await watched(context);
  const { pool, tenant, keks } = hierarchy;
  const running = await watch();
  await change(hierarchy);
  await running.advance();
  const { id, root, wrapped } = await keks.draft(2);
  const destroy = `UPDATE kek SET state = 'destroyed', wrapped = NULL WHERE tenant = $1 AND version = 1`;
  await pool.query(`UPDATE kek SET state = 'deactivated' WHERE tenant = $1`, [tenant]);
  await pool.query(
    `INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at) VALUES ($1, 2, $2, 'active', $3, $4, now())`,
    [tenant, Buffer.from(id, 'hex'), root, wrapped],
  );
  const old = readFileSync(mark, 'utf8');
  await running.advance();
  running.stop();
  assert.equal(JSON.parse(readFileSync(mark, 'utf8')).writtenUnder, 2);
  writeFileSync(mark, old);
  await pool.query(destroy, [tenant]);
  (await watch()).stop();
  assert.equal(JSON.parse(readFileSync(mark, 'utf8')).writtenUnder, 2);
  writeFileSync(mark, JSON.stringify({ ...JSON.parse(old), generation: '999' }));
  await assert.rejects(watch(), ROLLED_BACK, 'what it says is compared all the same');
});

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'not in time');
    await sleep(50);
  }
}
