/** Migrations: numbered SQL, each applied once, in order, in a transaction of its own. */
import { createHash } from 'node:crypto';
import type { ClientBase, Pool } from 'pg';
import { KeywardError } from '../core/index.ts';
import { withTransaction } from './pool.ts';

export interface Migration {
  /** Counts up from 1 within a component. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** Advisory lock that processes starting at once take before they migrate; the number says `keyward` in ASCII (56 bits). */
const LOCK_ID = BigInt(`0x${Buffer.from('keyward').toString('hex')}`).toString();

const SCHEMA_TABLE = `
  CREATE TABLE IF NOT EXISTS keyward_schema (
    component  text NOT NULL,
    version    integer NOT NULL,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (component, version)
  )`;

interface AppliedRow {
  readonly version: number;
  readonly checksum: string;
}

const checksumOf = (migration: Migration): string => createHash('sha256').update(migration.sql).digest('hex');

/** Brings `component` up to its last migration. @throws KeywardError `DB_SCHEMA_NEWER` | `DB_SCHEMA_CHANGED` */
export async function migrate(pool: Pool, component: string, migrations: readonly Migration[]): Promise<void> {
  while (await withTransaction(pool, (client) => applyNext(client, component, migrations)));
}

/** Applies the first migration that is missing; false when none is. */
async function applyNext(client: ClientBase, component: string, migrations: readonly Migration[]): Promise<boolean> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK_ID]);
  await client.query(SCHEMA_TABLE);
  const query = 'SELECT version, checksum FROM keyward_schema WHERE component = $1 ORDER BY version';
  const { rows: applied } = await client.query<AppliedRow>(query, [component]);
  for (const row of applied) requireKnown(row, component, migrations);
  const next = migrations.find(({ version }) => !applied.some((row) => row.version === version));
  if (!next) return false;
  await client.query(next.sql);
  const record = 'INSERT INTO keyward_schema (component, version, name, checksum) VALUES ($1, $2, $3, $4)';
  await client.query(record, [component, next.version, next.name, checksumOf(next)]);
  return true;
}

function requireKnown(row: AppliedRow, component: string, migrations: readonly Migration[]): void {
  const known = migrations.find(({ version }) => version === row.version);
  const detail = `${component}, migration ${row.version}`;
  if (!known) throw new KeywardError('DB_SCHEMA_NEWER', { detail });
  if (checksumOf(known) !== row.checksum) throw new KeywardError('DB_SCHEMA_CHANGED', { detail });
}
