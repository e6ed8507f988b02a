/** What the database holds of one resource, for `keyward demo reveal`: ciphertext and index rows, never a plaintext. */
import type pg from 'pg';
import { KeywardError } from '../core/index.ts';
import { INDEX_TABLE_NAMES, INDEX_TABLES } from './migrations.ts';
import type { JsonObject } from './types.ts';

const CURRENT = `
SELECT v.type, v.id, v.version, v.last_updated, v.body
FROM resource r JOIN resource_version v USING (type, id, version) WHERE r.type = $1 AND r.id = $2`;

interface CurrentRow {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly last_updated: Date;
  readonly body: Buffer | null;
}

/** @throws KeywardError `FHIR_NOT_FOUND` */
export async function atRest(pool: pg.Pool, type: string, id: string): Promise<JsonObject> {
  const { rows } = await pool.query<CurrentRow>(CURRENT, [type, id]);
  const [current] = rows;
  if (!current) throw new KeywardError('FHIR_NOT_FOUND');
  const index: Record<string, JsonObject[]> = {};
  for (const table of INDEX_TABLE_NAMES) {
    const columns = Object.keys(INDEX_TABLES[table]).join(', ');
    const found = await pool.query<JsonObject>(
      `SELECT ${columns} FROM ${table} WHERE type = $1 AND id = $2 ORDER BY ${columns}`,
      [type, id],
    );
    index[table] = found.rows;
  }
  const { version, last_updated, body } = current;
  return {
    type,
    id,
    version,
    lastUpdated: last_updated.toISOString(),
    body: body?.toString('base64url') ?? null,
    index,
  };
}
