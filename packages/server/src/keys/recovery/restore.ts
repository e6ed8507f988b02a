/** Restores a backup into an empty key database: everything in one transaction, proved before it counts. */
import { createDataKey, type DataKey, type KeyId, openBytes } from '@keyward/sdk/seal';
import type { ClientBase, Pool } from 'pg';
import { z } from 'zod';
import { type Clock, KeywardError, newUuid } from '../../core/index.ts';
import { migrate, withTransaction } from '../../db/index.ts';
import { nameOfRoot, wrapKek } from '../kek-roots.ts';
import { KEYS_MIGRATIONS } from '../migrations.ts';
import type { Root } from '../roots/root.ts';
import { unwrapDataKey } from '../wrapping.ts';
import { ERASURE_KIND, readTombstone, requireTombstones, type Tombstone } from './erasure-keys.ts';
import { backupKekAad, type BackupHeader, invalidBackup } from './format.ts';
import { writeHighWater } from './high-water.ts';
import { readInstallation } from './installation.ts';
import { type BackupEnd, type BackupFile, type OpenedPart, proveHeader, readParts } from './reader.ts';
import type { KeyRecord } from './records.ts';
import { putOffDestructions, type WaitingAnew } from './second-thoughts.ts';
import { BACKUP_TABLES } from './tables.ts';
import { distrustCounters, growBeyond, noteRecovery } from './trust.ts';

export interface RestoreOptions {
  /** On a key database without tables. */
  readonly pool: Pool;
  readonly file: BackupFile;
  /** The backup key. */
  readonly key: DataKey;
  /** Where the KEKs stand from now on. */
  readonly root: Root;
  readonly tenant: string;
  readonly clock: Clock;
  /** How long a destruction waits: those that the backup brings wait anew. */
  readonly waitingMs: number;
  /** Of the custodian, for its high-water mark. */
  readonly directory: string;
  /** Takes progress lines for people. */
  readonly say: (line: string) => void;
}

export interface Restored {
  readonly keks: number;
  readonly dataKeys: number;
  /** Of these, destroyed after the backup and not restored. */
  readonly erased: number;
  /** Data keys that were opened as a proof. */
  readonly proved: number;
  /** Destructions that are ordered in it; what was cancelled or held after the backup is among them. */
  readonly waiting: readonly WaitingAnew[];
}

/** @throws KeywardError `KEYS_RESTORE_REFUSED` | `KEYS_BACKUP_INVALID` | `DB_SCHEMA_NEWER`, or what the root throws; nothing is restored then */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { pool, file, tenant, directory } = options;
  const { header } = file;
  await proveHeader(file, options.key);
  if (header.tenant !== tenant)
    throw new KeywardError('KEYS_RESTORE_REFUSED', {
      detail: 'The backup is of another tenant than the configuration.',
    });
  await makeTables(pool, header);
  const opened = new Map<number, DataKey>();
  const restored = await withTransaction(pool, (client) => putBack(options, client, opened));
  await migrate(pool, 'keys', KEYS_MIGRATIONS);
  await noteHighWater(pool, tenant, directory, opened);
  return restored;
}

/** Those of the version that made the backup; what came since is applied to the restored rows afterwards. */
async function makeTables(pool: Pool, { schema }: BackupHeader): Promise<void> {
  if (!KEYS_MIGRATIONS.some(({ version }) => version === schema)) throw new KeywardError('DB_SCHEMA_NEWER');
  const { rows } = await pool.query<{ found: string | null }>("SELECT to_regclass('kek')::text AS found");
  if (rows[0]?.found !== null) throw new KeywardError('KEYS_RESTORE_REFUSED');
  await migrate(
    pool,
    'keys',
    KEYS_MIGRATIONS.filter(({ version }) => version <= schema),
  );
}

type Keks = Map<number, DataKey>;

async function putBack(options: RestoreOptions, client: ClientBase, keks: Keks): Promise<Restored> {
  const { file, key, tenant, clock, waitingMs, say } = options;
  const { backup, generation } = file.header;
  const counts = new Map<string, number>();
  const parts = readParts(file, key);
  let next = await parts.next();
  for (; !next.done; next = await parts.next()) {
    const { table, rows } = next.value;
    await insertPart(options, client, keks, next.value);
    counts.set(table, (counts.get(table) ?? 0) + rows.length);
    if (table === 'data_key') say(`${counts.get(table)} data keys …`);
  }
  await bury(client, tenant, await provedErasures(client, file.header, keks, next.value), clock.now());
  const proved = await proveSample(client, tenant, keks);
  await distrustCounters(client, tenant);
  await growBeyond(client, tenant, BigInt(generation));
  const at = clock.now();
  const waiting = await putOffDestructions(client, tenant, { backup, at, waitingMs });
  await nameBackup(client, tenant, file);
  await noteRecovery(client, tenant, { what: 'restored', backup, at });
  return {
    keks: counts.get('kek') ?? 0,
    dataKeys: counts.get('data_key') ?? 0,
    erased: next.value.erased.length,
    proved,
    waiting,
  };
}

const NAME_BACKUP = `
  INSERT INTO key_backup (id, tenant, file, generation, threshold, shares, made_by, made_at)
  VALUES ($1, $2, '-', $3, $4, $5, 'before the restore', $6) ON CONFLICT DO NOTHING`;

/** Its own row was written after it, so it is not in it: a shred has to reach this backup, too, or to name it. */
async function nameBackup(client: ClientBase, tenant: string, { header }: BackupFile): Promise<void> {
  const { backup, generation, threshold, shares, at } = header;
  await client.query(NAME_BACKUP, [backup, tenant, generation, threshold, shares, at]);
}

async function insertPart(options: RestoreOptions, client: ClientBase, keks: Keks, part: OpenedPart): Promise<void> {
  const table = BACKUP_TABLES.find(({ name }) => name === part.table);
  if (!table) throw invalidBackup();
  if (table.special === 'kek') return insertKeks(options, client, keks, part);
  const insert = table.special === 'data_key' ? INSERT_DATA_KEYS : INSERT_ROWS(table.name);
  const wrapped = table.special === 'data_key' ? [part.records.map(wrappedOrNull)] : [];
  await client.query(insert, [part.rows, ...wrapped]);
}

/** Columns of a transaction that no longer is are left out. */
const INSERT_ROWS = (table: string) => `
  INSERT INTO ${table} SELECT r.* FROM unnest($1::text[]) AS part (row),
    jsonb_populate_record(NULL::${table}, part.row::jsonb - 'grown_in') AS r`;

const INSERT_DATA_KEYS = `
  INSERT INTO data_key SELECT r.* FROM unnest($1::text[], $2::bytea[]) AS part (row, wrapped),
    jsonb_populate_record(NULL::data_key, part.row::jsonb || jsonb_build_object('wrapped', part.wrapped)) AS r`;

const INSERT_KEKS = `
  INSERT INTO kek SELECT r.* FROM unnest($1::text[], $2::bytea[]) AS part (row, wrapped),
    jsonb_populate_record(
      NULL::kek, part.row::jsonb || jsonb_build_object('wrapped', part.wrapped, 'root', $3::text, 'rooted_at', $4::timestamptz)
    ) AS r`;

const wrappedOrNull = ({ wrapped, erased }: KeyRecord): Buffer | null =>
  erased || wrapped.length === 0 ? null : wrapped;

const kekRow = z.object({ version: z.int().min(1) });

/** Each is opened from under the backup key and wrapped by the new root; never is one in clear outside this process. */
async function insertKeks(
  { file, key, root, tenant, clock }: RestoreOptions,
  client: ClientBase,
  keks: Keks,
  { rows, records }: OpenedPart,
): Promise<void> {
  const wrapped: (Buffer | null)[] = [];
  for (const [index, row] of rows.entries()) {
    const record = records[index];
    const { version } = kekRow.parse(JSON.parse(row));
    const bytes = record && wrappedOrNull(record);
    if (record && bytes) {
      const kek = openKek(file, key, record.id, bytes);
      keks.set(version, kek);
      wrapped.push(await wrapKek(root, tenant, version, kek));
    } else wrapped.push(null);
  }
  await client.query(INSERT_KEKS, [rows, wrapped, nameOfRoot(root), clock.now()]);
}

function openKek(file: BackupFile, key: DataKey, id: KeyId, wrapped: Buffer): DataKey {
  try {
    const kek = createDataKey(openBytes(key, backupKekAad(file.head, id), wrapped));
    if (kek.id === id) return kek;
  } catch (cause) {
    throw invalidBackup(cause);
  }
  throw invalidBackup();
}

interface StoredDataKey {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly kek_version: number;
  readonly wrapped: Buffer;
}

function openDataKey(keks: Keks, tenant: string, row: StoredDataKey): DataKey | undefined {
  const kek = keks.get(row.kek_version);
  const place = { tenant, kind: row.kind, scope: row.scope, id: row.id.toString('hex'), kekVersion: row.kek_version };
  return kek && unwrapDataKey(kek, row.wrapped, place);
}

const SELECT_ERASURE_KEY = `
  SELECT id, kind, scope, kek_version, wrapped FROM data_key
  WHERE tenant = $1 AND kind = $2 AND scope = $3 AND wrapped IS NOT NULL ORDER BY created_at LIMIT 1`;

/** What was erased by the custodian, and by nobody else. */
async function provedErasures(
  client: ClientBase,
  { tenant, backup }: BackupHeader,
  keks: Keks,
  { erased, tombstones }: BackupEnd,
): Promise<readonly KeyId[]> {
  if (erased.length === 0 && tombstones.length === 0) return [];
  const { rows } = await client.query<StoredDataKey>(SELECT_ERASURE_KEY, [tenant, ERASURE_KIND, backup]);
  const key = rows[0] && openDataKey(keks, tenant, rows[0]);
  if (!key) throw invalidBackup();
  const genuine = tombstones.map((text): Tombstone => readTombstone(key, backup, text));
  requireTombstones(erased, genuine);
  return erased;
}

/** They are destroyed, as they were when the backup was last touched. */
async function bury(client: ClientBase, tenant: string, erased: readonly KeyId[], at: Date): Promise<void> {
  if (erased.length === 0) return;
  const ids = erased.map((id) => Buffer.from(id, 'hex'));
  const values = [tenant, ids, at, newUuid()];
  await client.query(BURY('data_key', 'NULL::integer, id'), values);
  await client.query(BURY('kek', 'version, NULL::bytea'), values);
}

const BURY = (table: string, named: string) => `
  WITH before AS (SELECT id, state FROM ${table} WHERE tenant = $1 AND id = ANY ($2::bytea[]) AND state <> 'destroyed'),
  buried AS (
    UPDATE ${table} SET state = 'destroyed', destruction = NULL FROM before
    WHERE ${table}.tenant = $1 AND ${table}.id = before.id
    RETURNING ${table}.*, before.state AS from_state
  )
  INSERT INTO key_transition (id, tenant, kek_version, key_id, from_state, to_state, at, actor, reason, correlation_id)
  SELECT gen_random_uuid(), tenant, ${named}, from_state, 'destroyed', $3, 'custodian', 'erased from the backup that was restored', $4
  FROM buried`;

const SAMPLE_KEYS = 200;
const SELECT_SAMPLE = `
  SELECT id, kind, scope, kek_version, wrapped FROM data_key
  WHERE tenant = $1 AND wrapped IS NOT NULL AND kek_version = ANY ($2::integer[]) ORDER BY random() LIMIT ${SAMPLE_KEYS}`;

async function proveSample(client: ClientBase, tenant: string, keks: Keks): Promise<number> {
  const { rows } = await client.query<StoredDataKey>(SELECT_SAMPLE, [tenant, [...keks.keys()]]);
  for (const row of rows) openDataKey(keks, tenant, row);
  return rows.length;
}

async function noteHighWater(pool: Pool, tenant: string, directory: string, keks: Keks): Promise<void> {
  const installation = await readInstallation(pool, tenant);
  const version = Math.max(...keks.keys());
  const key = keks.get(version);
  if (installation && key) await writeHighWater(directory, tenant, installation, { version, key });
}
