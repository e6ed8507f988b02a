/** Writes sealed entries: one statement, one commit, however many there are. */
import type { Pool } from 'pg';
import { withClient } from '../db/index.ts';
import type { SealedEntry } from './sealed-entry.ts';

/** Positions follow the order of the batch. An entry that is there already stays as it is. */
const INSERT = `
  INSERT INTO ledger_entries (id, at, class, tenant, actor, subjects, key_ids, correlation, body, leaf_hash)
  SELECT id, at, class, tenant, actor, subjects::bytea[], key_ids::bytea[], correlation, body, leaf_hash
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::uuid[],
              $9::bytea[], $10::bytea[]) WITH ORDINALITY
    AS entry (id, at, class, tenant, actor, subjects, key_ids, correlation, body, leaf_hash, place)
  ORDER BY place
  ON CONFLICT (id) DO NOTHING`;

/** Value of each parameter for one entry, in the order of the statement. */
const COLUMNS: readonly ((entry: SealedEntry) => string | Buffer)[] = [
  ({ header }) => header.id,
  ({ header }) => header.at.toISOString(),
  ({ header }) => header.class,
  ({ header }) => header.tenant,
  ({ header }) => header.actor,
  ({ header }) => byteaArray(header.subjects),
  ({ header }) => byteaArray(header.keyIds),
  ({ header }) => header.correlation,
  ({ body }) => body,
  (entry) => entry.leafHash,
];

/** A database that does not answer within `timeoutMs` loses the connection, so that a later batch starts afresh. */
export async function insertEntries(pool: Pool, entries: readonly SealedEntry[], timeoutMs: number): Promise<void> {
  const values = COLUMNS.map((valueOf) => entries.map(valueOf));
  const query = { name: 'ledger-insert', text: INSERT, values, query_timeout: timeoutMs };
  await withClient(pool, (client) => client.query(query));
}

/** Array literal; `unnest` would flatten an array of arrays. */
function byteaArray(items: readonly Buffer[]): string {
  return `{${items.map((item) => `"\\\\x${item.toString('hex')}"`).join(',')}}`;
}
