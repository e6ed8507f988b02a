/** What the tests of recovery share: a hierarchy with keys of many kinds, empty databases beside it, backups with shares in clear. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openBytes, sealBytes } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { startTestPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { newUuid, systemClock } from '../../core/index.ts';
import { migrate, openPool } from '../../db/index.ts';
import { createDataKeys, type DataKeys } from '../data-keys.ts';
import { createKeks, type Keks } from '../keks.ts';
import { KEYS_MIGRATIONS } from '../migrations.ts';
import { localRoot } from '../roots/local/local.ts';
import type { Root } from '../roots/root.ts';
import { DAY_MS, testDirectory } from '../testing.ts';
import { type BackupDeps, type MadeBackup, makeBackup } from './backup.ts';
import { ensureInstallation } from './installation.ts';
import { openBackup } from './reader.ts';
import { restoreBackup, type Restored } from './restore.ts';
import { joinShares, type Share } from './shares.ts';

/** Longer than any test. */
export const WAITING_MS = 7 * DAY_MS;

export interface RecoveryDatabase {
  readonly pool: Pool;
  /** A database without tables. */
  empty(context: TestContext): Promise<Pool>;
  stop(): Promise<void>;
}

export async function startRecoveryDatabase(): Promise<RecoveryDatabase> {
  const postgres: TestPostgres = await startTestPostgres();
  const connection = postgres.connection('keyward_keys');
  const pool = openPool(connection, { max: 4, applicationName: 'recovery test' });
  await migrate(pool, 'keys', KEYS_MIGRATIONS);
  const admin = openPool(postgres.connection(), { max: 1, applicationName: 'recovery test' });
  let count = 0;
  return {
    pool,
    async empty(context) {
      const database = `empty_${++count}`;
      await admin.query(`CREATE DATABASE ${database} OWNER ${connection.user}`);
      const other = openPool({ ...connection, database }, { max: 4, applicationName: 'recovery test' });
      context.after(() => other.end());
      return other;
    },
    async stop() {
      await Promise.all([pool.end(), admin.end()]);
      await postgres.stop();
    },
  };
}

/** What was sealed under a key of some hierarchy. */
export interface Sealed {
  readonly scope: string;
  readonly bytes: Buffer;
}

export interface Hierarchy extends BackupDeps {
  readonly root: Root;
  readonly keks: Keks;
  readonly dataKeys: DataKeys;
  readonly sealed: readonly Sealed[];
}

const AAD = Buffer.from('test');
const PLAINTEXT = Buffer.from('what a patient said');

/** A tenant with a KEK and as many patients. */
export async function newHierarchy(context: TestContext, pool: Pool, patients: number): Promise<Hierarchy> {
  const folder = testDirectory(context);
  const root = await localRoot.open({ file: join(folder, 'root', 'root.key') });
  const tenant = `t-${newUuid()}`;
  const keks = createKeks({ pool, root, tenant, clock: systemClock });
  await keks.start();
  await ensureInstallation(pool, tenant, systemClock);
  const dataKeys = createDataKeys({ pool, tenant, keks, clock: systemClock });
  const scopes = Array.from({ length: patients }, newUuid);
  const drafts = await dataKeys.draft(scopes.map((scope) => ({ kind: 'subject', scope })));
  await dataKeys.insert(drafts);
  const keys = await Promise.all(drafts.map((draft) => dataKeys.open(draft)));
  const sealed = keys.map((key, index) => ({ scope: scopes[index] ?? '', bytes: sealBytes(key, AAD, PLAINTEXT) }));
  return { pool, tenant, root, keks, dataKeys, clock: systemClock, directory: join(folder, 'backups'), sealed };
}

export const HOLDERS = ['ada', 'ben', 'cleo', 'dana', 'eli'] as const;

export const backUp = (hierarchy: Hierarchy): Promise<MadeBackup> =>
  makeBackup(hierarchy, { threshold: 3, names: HOLDERS, by: 'test' });

export interface RestoredHierarchy {
  readonly restored: Restored;
  readonly pool: Pool;
  readonly root: Root;
  readonly keks: Keks;
  readonly dataKeys: DataKeys;
  /** Of the custodian. */
  readonly directory: string;
}

/** Restores a file under a root of its own. */
export async function restore(
  context: TestContext,
  { path, shares, tenant, pool }: { path: string; shares: readonly Share[]; tenant: string; pool: Pool },
): Promise<RestoredHierarchy> {
  const folder = testDirectory(context);
  const root = await localRoot.open({ file: join(folder, 'root', 'root.key') });
  const directory = join(folder, 'custodian');
  await using file = await openBackup(path);
  const key = await joinShares(file.header, shares);
  const options = {
    pool,
    file,
    key,
    root,
    tenant,
    clock: systemClock,
    waitingMs: WAITING_MS,
    directory,
    say: () => undefined,
  };
  const restored = await restoreBackup(options);
  const keks = createKeks({ pool, root, tenant, clock: systemClock });
  return {
    restored,
    pool,
    root,
    keks,
    dataKeys: createDataKeys({ pool, tenant, keks, clock: systemClock }),
    directory,
  };
}

/** An order of destruction that is due already, and was made before whatever comes next. */
export async function orderDue({ pool, tenant }: Pick<Hierarchy, 'pool' | 'tenant'>): Promise<string> {
  const target = `subject/${newUuid()}`;
  const insert = `
    INSERT INTO destruction
      (id, tenant, target, reason, ordered_by, ordered_at, due_at, state, suspended, correlation_id, signature)
    VALUES ($1, $2, $3, 'a test', 'a test', now(), now(), 'waiting', '{}', $1, '{}')`;
  await pool.query(insert, [newUuid(), tenant, target]);
  return target;
}

/** Whether these keys open what another hierarchy sealed. */
export async function opens(dataKeys: DataKeys, { scope, bytes }: Sealed): Promise<boolean> {
  const [stored] = await dataKeys.findBySpecs([{ kind: 'subject', scope }]);
  if (!stored) return false;
  try {
    return openBytes(await dataKeys.open(stored), AAD, bytes).equals(PLAINTEXT);
  } catch {
    return false;
  }
}
