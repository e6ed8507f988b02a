/** Makes a backup: the whole hierarchy as it stands at one moment, in a file that only a quorum of share holders can open. */
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataKey, generateDataKey, sealBytes } from '@keyward/sdk/seal';
import type { ClientBase, Pool } from 'pg';
import { type Clock, KeywardError, NEW_DURABLE_FILE, newUuid, renameDurably } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import type { DataKeys } from '../data-keys.ts';
import type { Keks } from '../keks.ts';
import { KEYS_MIGRATIONS } from '../migrations.ts';
import { countDestroyed, DRAFT_ENDING, lockBackups } from './drafts.ts';
import { ERASURE_KIND } from './erasure-keys.ts';
import { backupFileName, backupKekAad, type BackupHeader, PART_ROWS } from './format.ts';
import { openBackup, readParts } from './reader.ts';
import { type Share, splitKey } from './shares.ts';
import { BACKUP_TABLES } from './tables.ts';
import { type BackupWriter, createBackupWriter, type NewRecord } from './writer.ts';

export interface BackupDeps {
  readonly pool: Pool;
  readonly tenant: string;
  readonly keks: Pick<Keks, 'open'>;
  readonly dataKeys: Pick<DataKeys, 'draft' | 'insert'>;
  readonly clock: Clock;
  /** Where the files lie; made with mode 0700. */
  readonly directory: string;
}

export interface BackupOrder {
  readonly threshold: number;
  /** Who gets a share. */
  readonly names: readonly string[];
  readonly by: string;
}

export interface MadeBackup {
  readonly header: BackupHeader;
  /** Name below the directory. */
  readonly file: string;
  readonly shares: readonly Share[];
}

/** Each destruction meanwhile costs an attempt; they come together, and seldom. */
const MAX_ATTEMPTS = 3;

/** The file is there whole, read back and proved, or not at all. No key is in it that was destroyed before it was there. */
export async function makeBackup(deps: BackupDeps, order: BackupOrder): Promise<MadeBackup> {
  await mkdir(deps.directory, { recursive: true, mode: 0o700 });
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const made = await tryBackup(deps, order);
    if (made) return made;
  }
  throw new KeywardError('KEYS_TRANSITION_REFUSED', {
    detail: 'Keys were destroyed while they were backed up; try again.',
  });
}

/** Undefined when a key was destroyed meanwhile: what destroyed it has looked for backups already, and this was none. */
async function tryBackup(deps: BackupDeps, order: BackupOrder): Promise<MadeBackup | undefined> {
  const { pool, directory, dataKeys } = deps;
  const backup = newUuid();
  await dataKeys.insert(await dataKeys.draft([{ kind: ERASURE_KIND, scope: backup }]));
  const key = generateDataKey();
  const file = backupFileName(deps.clock.now(), backup);
  const draft = join(directory, `${file}${DRAFT_ENDING}`);
  try {
    const written = await withTransaction(pool, (client) => writeFile(deps, order, client, { backup, key, draft }));
    await prove(draft, key);
    const shares = await splitKey(key, written.header, order.names);
    const isWhole = await withTransaction(pool, (client) => publish(deps, order, client, { ...written, draft, file }));
    return isWhole ? { header: written.header, file, shares } : undefined;
  } finally {
    await rm(draft, { force: true });
  }
}

interface WrittenFile {
  readonly header: BackupHeader;
  /** Keys that were destroyed already. */
  readonly destroyed: bigint;
}

/** Gives it its name, unless a key was destroyed since it was read. */
async function publish(
  { tenant, directory }: BackupDeps,
  { by }: BackupOrder,
  client: ClientBase,
  { header, destroyed, draft, file }: WrittenFile & { readonly draft: string; readonly file: string },
): Promise<boolean> {
  await lockBackups(client, tenant);
  if ((await countDestroyed(client, tenant)) !== destroyed) return false;
  const { backup, generation, threshold, shares, at } = header;
  renameDurably(draft, join(directory, file));
  await client.query(INSERT_BACKUP, [backup, tenant, file, generation, threshold, shares, by, at]);
  return true;
}

const INSERT_BACKUP = `
  INSERT INTO key_backup (id, tenant, file, generation, threshold, shares, made_by, made_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;

interface NewFile {
  readonly backup: string;
  readonly key: DataKey;
  readonly draft: string;
}

/** One snapshot for all tables, so that no row names a key that the backup does not have. */
async function writeFile(
  { tenant, keks, clock }: BackupDeps,
  { threshold, names }: BackupOrder,
  client: ClientBase,
  { backup, key, draft }: NewFile,
): Promise<WrittenFile> {
  await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const destroyed = await countDestroyed(client, tenant);
  const { installation, generation } = await installationOf(client, tenant);
  const schema = KEYS_MIGRATIONS.at(-1)?.version ?? 0;
  const at = clock.now().toISOString();
  const header = { version: 1, backup, installation, tenant, generation, schema, at } as const;
  const whole: BackupHeader = { ...header, shares: names.length, threshold, key: key.id };
  const output = await open(draft, NEW_DURABLE_FILE, 0o600);
  try {
    const writer = createBackupWriter(whole, key, (bytes) => output.writeFile(bytes));
    const sealKek = async (version: number) => sealKekFor(await keks.open(version), key, writer.head);
    for (const { name, special } of BACKUP_TABLES) {
      if (special === 'kek') await writeKeks(client, tenant, writer, sealKek);
      else if (special === 'data_key') await writeDataKeys(client, tenant, writer);
      else await writeRows(client, tenant, writer, name);
    }
    await writer.end();
  } finally {
    await output.close();
  }
  return { header: whole, destroyed };
}

async function installationOf(client: ClientBase, tenant: string) {
  const select = 'SELECT id AS installation, generation::text FROM installation WHERE tenant = $1';
  const { rows } = await client.query<{ installation: string; generation: string }>(select, [tenant]);
  return rows[0] as { installation: string; generation: string };
}

/** Parts of a table's rows; never more than one part in memory. */
async function* partsOf<Row extends object>(client: ClientBase, select: string, tenant: string): AsyncGenerator<Row[]> {
  await client.query(`DECLARE part NO SCROLL CURSOR FOR ${select}`, [tenant]);
  for (;;) {
    const { rows } = await client.query<Row>(`FETCH ${PART_ROWS} FROM part`);
    if (rows.length === 0) break;
    yield rows;
  }
  await client.query('CLOSE part');
}

async function writeRows(client: ClientBase, tenant: string, writer: BackupWriter, table: string): Promise<void> {
  const select = `SELECT to_jsonb(t)::text AS row FROM ${table} t WHERE tenant = $1`;
  for await (const rows of partsOf<{ row: string }>(client, select, tenant)) {
    await writer.rows(
      table,
      rows.map(({ row }) => row),
    );
  }
}

interface KeyRow {
  readonly id: string;
  readonly row: string;
  readonly wrapped: Buffer | null;
}

const SELECT_KEYS = (table: string, more = '') => `
  SELECT encode(t.id, 'hex') AS id, t.wrapped, (to_jsonb(t) - 'wrapped')::text AS row ${more}
  FROM ${table} t WHERE tenant = $1`;

async function writeDataKeys(client: ClientBase, tenant: string, writer: BackupWriter): Promise<void> {
  for await (const rows of partsOf<KeyRow>(client, SELECT_KEYS('data_key'), tenant)) {
    await writeKeys(
      writer,
      'data_key',
      rows,
      rows.map(({ id, wrapped }) => ({ id, wrapped: wrapped ?? Buffer.alloc(0) })),
    );
  }
}

type SealKek = (version: number) => Promise<Buffer>;

async function writeKeks(client: ClientBase, tenant: string, writer: BackupWriter, seal: SealKek): Promise<void> {
  const select = SELECT_KEYS('kek', ', t.version');
  for await (const rows of partsOf<KeyRow & { version: number }>(client, select, tenant)) {
    const records: NewRecord[] = [];
    for (const { id, version, wrapped } of rows)
      records.push({ id, wrapped: wrapped ? await seal(version) : Buffer.alloc(0) });
    await writeKeys(writer, 'kek', rows, records);
  }
}

const writeKeys = (writer: BackupWriter, table: string, rows: readonly KeyRow[], records: readonly NewRecord[]) =>
  writer.keys(
    table,
    rows.map(({ row }) => row),
    records,
  );

/** Never in clear outside this process: opened from under the root, it goes under the backup key at once. */
function sealKekFor(kek: DataKey, key: DataKey, head: Buffer): Buffer {
  const bytes = kek.secret.export();
  try {
    return sealBytes(key, backupKekAad(head, kek.id), bytes);
  } finally {
    bytes.fill(0);
  }
}

/** A backup that was never read is none. */
async function prove(path: string, key: DataKey): Promise<void> {
  await using file = await openBackup(path);
  const parts = readParts(file, key);
  while (!(await parts.next()).done);
}
