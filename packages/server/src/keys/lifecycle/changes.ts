/** Changes of state as the database keeps them: the state, when and why it changed, and the news of it. */
import type { ClientBase } from 'pg';
import { newUuid } from '../../core/index.ts';
import type { KeyState } from '../lifecycle.ts';
import { announce, EVERY_KEY } from '../news.ts';
import { nameOfPerson, type Person } from '../operators.ts';
import type { KeyVersion } from './versions.ts';

export interface Why {
  readonly by: Person;
  readonly reason: string;
  readonly correlationId: string;
}

export interface Change {
  readonly version: KeyVersion;
  readonly to: KeyState;
}

/** Erases in the same statement: no row is ever destroyed and still holds its key. */
const update = (table: string) => `
  WITH changed AS (
    UPDATE ${table} SET state = $4,
      activated_at = CASE WHEN $4 = 'active' THEN coalesce(activated_at, $5) ELSE activated_at END,
      deactivated_at = CASE WHEN $4 = 'deactivated' THEN $5 ELSE deactivated_at END,
      wrapped = CASE WHEN $4 = 'destroyed' THEN NULL ELSE wrapped END,
      destruction = CASE WHEN $4 = 'destroyed' THEN NULL ELSE destruction END
    WHERE tenant = $2 AND id = $3 RETURNING tenant
  )
  INSERT INTO key_transition
    (id, tenant, kek_version, key_id, from_state, to_state, at, actor, reason, correlation_id)
  SELECT $1, changed.tenant, $6, $7, $8, $4, $5, $9, $10, $11 FROM changed`;

const UPDATE_KEK = update('kek');
const UPDATE_KEY = update('data_key');

/** In the transaction that locked these versions, after the ledger has it. */
export async function applyChanges(
  client: ClientBase,
  tenant: string,
  changes: readonly Change[],
  why: Why & { readonly at: Date },
): Promise<void> {
  for (const { version, to } of changes) {
    const isKek = version.kind === 'kek';
    const id = Buffer.from(version.id, 'hex');
    const of = isKek ? [version.kekVersion, null] : [null, id];
    const values = [newUuid(), tenant, id, to, why.at, ...of, version.state];
    const because = [nameOfPerson(why.by), why.reason, why.correlationId];
    await client.query(isKek ? UPDATE_KEK : UPDATE_KEY, [...values, ...because]);
  }
}

/** Whoever holds one of these drops it, and asks anew. What a KEK wraps is dropped with it. */
export function announceVersions(
  client: ClientBase,
  tenant: string,
  at: Date,
  versions: readonly KeyVersion[],
): Promise<void> {
  const specs = versions.filter(({ kind }) => kind !== 'kek').map(({ kind, scope }) => ({ kind, scope }));
  const every = specs.length < versions.length ? [EVERY_KEY] : [];
  return announce(client, tenant, at, { ids: versions.map(({ id }) => id), specs: [...specs, ...every] });
}
