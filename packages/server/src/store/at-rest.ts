/** What the database holds of one resource, for `keyward demo reveal`: ciphertext and index rows, never a plaintext. */
import { KeywardError } from '../core/index.ts';
import { INDEX_TABLE_NAMES, INDEX_TABLES } from './migrations.ts';
import type { Session } from './session.ts';
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
export async function atRest(session: Session, type: string, id: string): Promise<JsonObject> {
  const values = [type, id];
  const [current] = await session.query<CurrentRow>({ text: CURRENT, values });
  if (!current) throw new KeywardError('FHIR_NOT_FOUND');
  const index: Record<string, JsonObject[]> = {};
  for (const table of INDEX_TABLE_NAMES) {
    const columns = Object.keys(INDEX_TABLES[table]).join(', ');
    const text = `SELECT ${columns} FROM ${table} WHERE type = $1 AND id = $2 ORDER BY ${columns}`;
    index[table] = await session.query<JsonObject>({ text, values });
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
