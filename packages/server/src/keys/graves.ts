/** Keys that were destroyed once: whatever a row says about one of them later, it does not open again. */
import type { KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { asKeywardError, KeywardError, type Log } from '../core/index.ts';
import type { DataKeys, StoredKey } from './data-keys.ts';
import type { Keks } from './keks.ts';
import { query } from './query.ts';

export interface Graves {
  /** Reads every destruction there was. */
  load(): Promise<void>;
  /** These changed, or whatever there is: reads on, beside what runs. */
  review(changed?: readonly KeyId[]): void;
  overDataKeys(dataKeys: DataKeys): DataKeys;
  overKeks(keks: Keks): Keks;
}

interface GraveRow {
  readonly id: KeyId | null;
  readonly kek: number | null;
}

/** Two witnesses beside the state of the key: its history, and what the custodian signed when it ended. */
const SELECT = `
  SELECT encode(key_id, 'hex') AS id, kek_version AS kek FROM key_transition WHERE tenant = $1 AND to_state = 'destroyed'
  UNION SELECT key->>'id', CASE WHEN key->>'kind' = 'kek' THEN (key->>'kekVersion')::integer END
  FROM destruction CROSS JOIN LATERAL jsonb_array_elements(tombstone->'statement'->'keys') AS key
  WHERE tenant = $1 AND state = 'done'`;

/** News of a KEK are news of everything, so these are data keys. */
const SELECT_SOME = `
  SELECT encode(key_id, 'hex') AS id, NULL::integer AS kek FROM key_transition
  WHERE tenant = $1 AND key_id = ANY ($2::bytea[]) AND to_state = 'destroyed'`;

export function createGraves({ pool, tenant, log }: { pool: Pool; tenant: string; log: Log }): Graves {
  const ids = new Set<KeyId>();
  const keks = new Set<number>();
  const read = async (select: string, ...values: unknown[]) => {
    for (const { id, kek } of await query<GraveRow & Record<string, unknown>>(pool, select, [tenant, ...values])) {
      if (id !== null) ids.add(id);
      if (kek !== null) keks.add(kek);
    }
  };
  const load = () => read(SELECT);
  const loadSome = (changed: readonly KeyId[]) =>
    changed.length === 0
      ? Promise.resolve()
      : read(
          SELECT_SOME,
          changed.map((id) => Buffer.from(id, 'hex')),
        );
  const buried = (key: StoredKey): StoredKey => {
    if (ids.has(key.id)) return { ...key, state: 'destroyed', wrapped: null };
    return keks.has(key.kekVersion) ? { ...key, kekState: 'destroyed', wrapped: null } : key;
  };
  const requireNoGrave = (version: number): void => {
    if (keks.has(version)) throw new KeywardError('KEYS_STATE_REFUSED');
  };
  return {
    load,
    review: (changed) =>
      void (changed ? loadSome(changed) : load()).catch((error: unknown) =>
        log.error('destroyed keys not read', { code: asKeywardError(error).code }),
      ),
    overDataKeys: (dataKeys) => ({
      ...dataKeys,
      findBySpecs: async (specs) => (await dataKeys.findBySpecs(specs)).map(buried),
      findByIds: async (wanted) => (await dataKeys.findByIds(wanted)).map(buried),
    }),
    overKeks: (under) => ({
      ...under,
      async active(wraps) {
        const kek = await under.active(wraps);
        requireNoGrave(kek.version);
        return kek;
      },
      async open(version) {
        requireNoGrave(version);
        return under.open(version);
      },
    }),
  };
}
