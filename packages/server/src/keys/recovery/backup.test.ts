/** Backup and restore: what comes back, what does not open, what reaches backups later. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeBackup } from './backup.ts';
import { type Erasure, createEraseFromBackups } from './erase.ts';
import { recordRecoveries } from './announcements.ts';
import { openBackup } from './reader.ts';
import { createMemoryLedger } from '../testing.ts';
import { joinShares } from './shares.ts';
import {
  backUp,
  type Hierarchy,
  HOLDERS,
  newHierarchy,
  opens,
  orderDue,
  type RecoveryDatabase,
  restore,
  startRecoveryDatabase,
  WAITING_MS,
} from './testing.ts';

const CODE = (code: string) => ({ name: 'KeywardError', code });
const INVALID = CODE('KEYS_BACKUP_INVALID');

let database: RecoveryDatabase;
before(async () => {
  database = await startRecoveryDatabase();
});
after(() => database.stop());

const pathOf = ({ directory }: Hierarchy, { file }: { readonly file: string }): string => join(directory, file);

test('[K8] a backup restores every key into an empty database under another root', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 2500);
  const made = await backUp(hierarchy);
  const path = pathOf(hierarchy, made);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(hierarchy.directory).mode & 0o777, 0o700);
  const pool = await database.empty(context);
  const [, two, , four, five] = made.shares;
  const there = await restore(context, { path, shares: [five!, two!, four!], tenant: hierarchy.tenant, pool });
  // The erasure key of the backup is one of them.
  assert.deepEqual(there.restored, { keks: 1, dataKeys: 2501, erased: 0, proved: 200, waiting: [] });
  for (const sealed of hierarchy.sealed.slice(0, 50)) assert.ok(await opens(there.dataKeys, sealed));
  const count = async (from: typeof pool, table: string) =>
    (await from.query(`SELECT * FROM ${table} WHERE tenant = $1`, [hierarchy.tenant])).rows.length;
  for (const table of ['kek', 'data_key', 'installation'])
    assert.equal(await count(pool, table), await count(database.pool, table), table);
});

test('[K8] a restored installation trusts no counter, and has a generation nobody has seen', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const { file, header, shares } = await backUp(hierarchy);
  const pool = await database.empty(context);
  await restore(context, { path: pathOf(hierarchy, { file }), shares, tenant: hierarchy.tenant, pool });
  const { rows } = await pool.query("SELECT uses FROM data_key WHERE kind = 'subject'");
  assert.deepEqual(rows, [{ uses: String(0.75 * 2 ** 32) }]);
  const generation = await pool.query('SELECT generation FROM installation');
  assert.ok(BigInt(generation.rows[0].generation) > BigInt(header.generation));
});

test('[K8] a database with keys in it is not restored into', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const { file, shares } = await backUp(hierarchy);
  const { tenant } = hierarchy;
  const again = restore(context, { path: pathOf(hierarchy, { file }), shares, tenant, pool: database.pool });
  await assert.rejects(again, CODE('KEYS_RESTORE_REFUSED'));
});

test('[K8] too few, doubled, foreign or altered shares give no key', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const [mine, other] = [await backUp(hierarchy), await backUp(hierarchy)];
  const [one, two, three] = mine.shares;
  const altered = {
    ...three!,
    share: `${three!.share.slice(0, 3)}${three!.share[3] === 'A' ? 'B' : 'A'}${three!.share.slice(4)}`,
  };
  const relabelled = { ...other.shares[2]!, backup: mine.header.backup, key: mine.header.key };
  const cases = {
    few: [one, two],
    doubled: [one, two, two],
    foreign: [one, two, other.shares[2]],
    altered: [one, two, altered],
    relabelled: [one, two, relabelled],
  };
  for (const [name, shares] of Object.entries(cases))
    await assert.rejects(joinShares(mine.header, shares as typeof mine.shares), INVALID, name);
  assert.equal((await joinShares(mine.header, [one!, two!, three!])).id, mine.header.key);
});

test('[E6] the file holds no KEK and no patient in clear', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 2);
  const made = await backUp(hierarchy);
  const path = pathOf(hierarchy, made);
  const bytes = readFileSync(path);
  assert.ok(!bytes.includes((await hierarchy.keks.open(1)).secret.export()));
  assert.ok(!bytes.includes(hierarchy.sealed[0]!.scope));
  assert.ok(!bytes.includes(hierarchy.tenant, 512), 'the tenant stands in the header alone');
});

test('[K8] a restore that fails in the middle leaves an empty database behind', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 2);
  const made = await backUp(hierarchy);
  const path = pathOf(hierarchy, made);
  const bytes = readFileSync(path);
  const pool = await database.empty(context);
  const { tenant } = hierarchy;
  writeFileSync(path, bytes.subarray(0, bytes.length - 50));
  await assert.rejects(restore(context, { path, shares: made.shares, tenant, pool }), INVALID);
  assert.deepEqual((await pool.query('SELECT FROM kek')).rows, []);
  await assert.rejects(
    restore(context, { path, shares: made.shares, tenant: 'another', pool }),
    CODE('KEYS_RESTORE_REFUSED'),
  );
});

test('[K11] a key that is erased from the backups does not come back, and everything else does', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 3);
  const made = [await backUp(hierarchy), await backUp(hierarchy), await backUp(hierarchy)] as const;
  const [gone, ...kept] = hierarchy.sealed;
  const [stored] = await hierarchy.dataKeys.findBySpecs([{ kind: 'subject', scope: gone!.scope }]);
  const copy = join(hierarchy.directory, 'taken-away');
  copyFileSync(pathOf(hierarchy, made[1]), copy);
  rmSync(pathOf(hierarchy, made[1]));
  const erase = createEraseFromBackups(hierarchy);
  const erasure = await erase([stored!.id], { certificate: 'of the test' });
  assert.deepEqual(
    erasure.rewritten.map(({ backup }) => backup).toSorted(),
    [made[0].header.backup, made[2].header.backup].toSorted(),
  );
  assert.deepEqual(erasure.notReached, [{ backup: made[1].header.backup, why: 'missing' }]);
  assert.deepEqual(await erase([stored!.id], { certificate: 'of the test' }), erasure, 'done twice it is as done once');
  assert.deepEqual(
    readdirSync(hierarchy.directory).filter((name) => !/\.kwb$|taken-away/.test(name)),
    [],
  );

  const pool = await database.empty(context);
  const path = pathOf(hierarchy, made[0]);
  const there = await restore(context, { path, shares: made[0].shares, tenant: hierarchy.tenant, pool });
  assert.equal(there.restored.erased, 1);
  assert.equal(await opens(there.dataKeys, gone!), false);
  for (const sealed of kept) assert.ok(await opens(there.dataKeys, sealed));
  const { rows } = await pool.query('SELECT state, wrapped FROM data_key WHERE id = $1', [
    Buffer.from(stored!.id, 'hex'),
  ]);
  assert.deepEqual(rows, [{ state: 'destroyed', wrapped: null }]);
});

test('[K11] a record that somebody erased without a tombstone of the custodian refuses the whole backup', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 2);
  const [mine, other] = [await backUp(hierarchy), await backUp(hierarchy)];
  const [stored] = await hierarchy.dataKeys.findBySpecs([{ kind: 'subject', scope: hierarchy.sealed[0]!.scope }]);
  await createEraseFromBackups(hierarchy)([stored!.id], {});
  const path = pathOf(hierarchy, mine);
  const bytes = readFileSync(path);
  const stoneBytes = await tombstoneBytes(path);
  const foreign = readFileSync(pathOf(hierarchy, other));
  const pool = await database.empty(context);
  const cases = {
    'no tombstone': bytes.subarray(0, bytes.length - stoneBytes),
    'of another backup': Buffer.concat([
      bytes.subarray(0, bytes.length - stoneBytes),
      foreign.subarray(foreign.length - stoneBytes),
    ]),
  };
  for (const [what, content] of Object.entries(cases)) {
    writeFileSync(path, content);
    const again = restore(context, { path, shares: mine.shares, tenant: hierarchy.tenant, pool });
    await assert.rejects(again, INVALID, what);
    await pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  }
});

/** Length of the last section, which is a tombstone, with its head. */
async function tombstoneBytes(path: string): Promise<number> {
  await using file = await openBackup(path);
  let last = 0;
  for await (const { type, payload } of file.sections()) last = type === 3 ? payload.length + 5 : 0;
  assert.ok(last > 0);
  return last;
}

test('[K11] a patient who is shredded while a backup is under way is not in it', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 2);
  const [gone, stays] = hierarchy.sealed;
  const [stored] = await hierarchy.dataKeys.findBySpecs([{ kind: 'subject', scope: gone!.scope }]);
  const erase = createEraseFromBackups(hierarchy);
  let erasure: Erasure | undefined;
  /** Asked for once the backup has taken its snapshot. */
  const open = async (version: number) => {
    const destroy = "UPDATE data_key SET state = 'destroyed', wrapped = NULL WHERE id = $1";
    await hierarchy.pool.query(destroy, [Buffer.from(stored!.id, 'hex')]);
    erasure ??= await erase([stored!.id], {});
    return hierarchy.keks.open(version);
  };
  const order = { threshold: 3, names: HOLDERS, by: 'test' };
  const made = await makeBackup({ ...hierarchy, keks: { open } }, order);
  assert.deepEqual(erasure, { rewritten: [], notReached: [] }, 'the certificate names no backup');
  assert.deepEqual(readdirSync(hierarchy.directory), [made.file], 'nothing else lies there');
  const path = pathOf(hierarchy, made);
  const pool = await database.empty(context);
  const there = await restore(context, { path, shares: made.shares, tenant: hierarchy.tenant, pool });
  assert.equal(await opens(there.dataKeys, gone!), false);
  assert.ok(await opens(there.dataKeys, stays!));
});

test('[K11] a backup during which keys are destroyed again and again is refused', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 5);
  const left = [...hierarchy.sealed];
  const open = async (version: number) => {
    const destroy = "UPDATE data_key SET state = 'destroyed', wrapped = NULL WHERE tenant = $1 AND scope = $2";
    await hierarchy.pool.query(destroy, [hierarchy.tenant, left.pop()!.scope]);
    return hierarchy.keks.open(version);
  };
  const order = { threshold: 3, names: HOLDERS, by: 'test' };
  await assert.rejects(makeBackup({ ...hierarchy, keks: { open } }, order), CODE('KEYS_TRANSITION_REFUSED'));
  assert.deepEqual(readdirSync(hierarchy.directory), []);
});

test('[K8] a destruction that the backup brings waits anew, with one alarm and a line for whoever restores', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const target = await orderDue(hierarchy);
  const made = await backUp(hierarchy);
  await hierarchy.pool.query("UPDATE destruction SET state = 'cancelled' WHERE target = $1", [target]);
  const pool = await database.empty(context);
  const { tenant } = hierarchy;
  const { restored } = await restore(context, { path: pathOf(hierarchy, made), shares: made.shares, tenant, pool });
  assert.deepEqual(
    restored.waiting.map((each) => each.target),
    [target],
  );
  const { rows } = await pool.query<{ due_at: Date }>('SELECT due_at FROM destruction WHERE target = $1', [target]);
  assert.ok(rows[0]!.due_at.getTime() > Date.now() + WAITING_MS / 2);
  const ledger = createMemoryLedger();
  for (let start = 0; start < 2; start += 1) await recordRecoveries(pool, tenant, ledger);
  const alarms = ledger.events.filter((event) => event.class === 'key.alarm');
  assert.deepEqual(
    alarms.map(({ interaction, resources }) => [interaction, resources]),
    [['keys.destructions-put-off', [`backup/${made.header.backup}`, target]]],
  );
});

test('[K11] a restored installation knows the backup that it came from: a shred names it', async (context) => {
  const hierarchy = await newHierarchy(context, database.pool, 1);
  const made = await backUp(hierarchy);
  const pool = await database.empty(context);
  const { tenant } = hierarchy;
  const there = await restore(context, { path: pathOf(hierarchy, made), shares: made.shares, tenant, pool });
  const [stored] = await there.dataKeys.findBySpecs([{ kind: 'subject', scope: hierarchy.sealed[0]!.scope }]);
  const erase = createEraseFromBackups({ ...hierarchy, ...there, directory: there.directory });
  assert.deepEqual((await erase([stored!.id], {})).notReached, [{ backup: made.header.backup, why: 'missing' }]);
});
