/** Versions on their way into the tables: any number of them in one statement. */
import type { IndexRows } from './index-rows.ts';
import { INDEX_TABLE_NAMES, INDEX_TABLES, type IndexTable } from './migrations.ts';
import type { Statement } from './session.ts';
import type { VersionAddress } from './types.ts';

export interface Write extends VersionAddress {
  readonly lastUpdated: Date;
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** Sealed; null for a deletion. */
  readonly body: Buffer | null;
  /** Undefined for a deletion. */
  readonly rows: IndexRows | undefined;
}

const VERSION_TYPES = ['text', 'text', 'integer', 'timestamptz', 'text', 'bytea'] as const;

/**
 * The writes must be of different resources. Index rows of an earlier version are replaced. A version that somebody else wrote in
 * the meantime violates the key of resource_version, so that nothing is lost silently.
 */
export function flushStatement(writes: readonly Write[]): Statement {
  const versions = writes.map(({ type, id, version, lastUpdated, method, body }) => [
    type,
    id,
    version,
    lastUpdated,
    method,
    body,
  ]);
  const values = [
    ...columnsOf(versions, VERSION_TYPES.length),
    ...INDEX_TABLE_NAMES.flatMap((table) => columnsOf(indexRowsOf(writes, table), 2 + columnNames(table).length)),
  ];
  return { name: 'store-flush', text: FLUSH_SQL, values };
}

const columnNames = (table: IndexTable): string[] => Object.keys(INDEX_TABLES[table]);
const columnTypes = (table: IndexTable): string[] => ['text', 'text', ...Object.values<string>(INDEX_TABLES[table])];

const indexRowsOf = (writes: readonly Write[], table: IndexTable): unknown[][] =>
  writes.flatMap(({ type, id, rows }) => (rows?.[table] ?? []).map((row) => [type, id, ...row]));

const columnsOf = (rows: readonly (readonly unknown[])[], count: number): unknown[][] =>
  Array.from({ length: count }, (_, column) => rows.map((row) => row[column]));

const FLUSH_SQL = flushSql();

function flushSql(): string {
  let parameterCount = 0;
  const unnest = (types: readonly string[]) =>
    `unnest(${types.map((type) => `$${++parameterCount}::${type}[]`).join(', ')})`;
  const versions = unnest(VERSION_TYPES);
  const indexes = INDEX_TABLE_NAMES.flatMap((table) => [
    `${table}_clear AS (DELETE FROM ${table} i USING written w WHERE w.version > 1 AND i.type = w.type AND i.id = w.id)`,
    `${table}_fill AS (INSERT INTO ${table} (type, id, ${columnNames(table).join(', ')}) SELECT * FROM ${unnest(columnTypes(table))})`,
  ]);
  return `
WITH written AS MATERIALIZED (SELECT * FROM ${versions} AS w (type, id, version, last_updated, method, body)),
current AS (
  INSERT INTO resource (type, id, version, last_updated, deleted)
  SELECT type, id, version, last_updated, method = 'DELETE' FROM written
  ON CONFLICT (type, id) DO UPDATE
  SET version = excluded.version, last_updated = excluded.last_updated, deleted = excluded.deleted
  WHERE resource.version = excluded.version - 1
),
versions AS (
  INSERT INTO resource_version (type, id, version, last_updated, method, body)
  SELECT type, id, version, last_updated, method, body FROM written
),
${indexes.join(',\n')}
SELECT`;
}
