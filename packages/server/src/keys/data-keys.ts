/** The tenant's data keys as the database holds them: found, made, opened. */
import { type KeySpec, scopeOf } from '@keyward/sdk/client';
import { type DataKey, generateDataKey, type KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import type { Clock } from '../core/index.ts';
import type { Keks } from './keks.ts';
import { query } from './query.ts';
import { unwrapDataKey, wrapDataKey } from './wrapping.ts';

/** A wrapped data key. Nothing in it is believed before it has been opened. */
export interface StoredKey {
  readonly id: KeyId;
  readonly kind: string;
  readonly scope: string;
  readonly state: string;
  readonly kekVersion: number;
  readonly kekState: string;
  readonly wrapped: Buffer;
}

export interface DataKeys {
  /** The active keys of these specs, in any order; a spec without one is missing in the answer. */
  findActive(specs: readonly KeySpec[]): Promise<StoredKey[]>;
  findByIds(ids: readonly KeyId[]): Promise<StoredKey[]>;
  /** Makes an active key for each spec that has none by then. */
  create(specs: readonly KeySpec[]): Promise<void>;
  open(stored: StoredKey): Promise<DataKey>;
}

interface DataKeyRow {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly state: string;
  readonly kek_version: number;
  readonly kek_state: string;
  readonly wrapped: Buffer;
}

const SELECT = `
  SELECT d.id, d.kind, d.scope, d.state, d.kek_version, k.state AS kek_state, d.wrapped
  FROM data_key d JOIN kek k ON k.tenant = d.tenant AND k.version = d.kek_version`;

const SELECT_ACTIVE = `${SELECT}
  JOIN unnest($2::text[], $3::text[]) AS wanted (kind, scope) ON wanted.kind = d.kind AND wanted.scope = d.scope
  WHERE d.tenant = $1 AND d.state = 'active'`;

const SELECT_IDS = `${SELECT} WHERE d.tenant = $1 AND d.id = ANY ($2::bytea[])`;

/** Sorted, so that two callers who make the same keys at once wait for each other in one order and never deadlock. */
const INSERT = `
  INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at)
  SELECT draft.id, k.tenant, draft.kind, draft.scope, k.version, 'active', draft.wrapped, $3
  FROM unnest($4::bytea[], $5::text[], $6::text[], $7::bytea[]) AS draft (id, kind, scope, wrapped)
  JOIN kek k ON k.tenant = $1 AND k.version = $2 AND k.state = 'active'
  ORDER BY draft.kind, draft.scope
  ON CONFLICT (tenant, kind, scope) WHERE state = 'active' DO NOTHING`;

export interface DataKeysOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly keks: Keks;
  readonly clock: Clock;
}

export function createDataKeys({ pool, tenant, keks, clock }: DataKeysOptions): DataKeys {
  const select = async (text: string, ...values: unknown[]) =>
    (await query<DataKeyRow>(pool, text, [tenant, ...values])).map(fromRow);
  return {
    findActive: (specs) =>
      select(
        SELECT_ACTIVE,
        specs.map(({ kind }) => kind),
        specs.map(scopeOf),
      ),
    findByIds: (ids) => select(SELECT_IDS, ids.map(idBytes)),
    async create(specs) {
      const kek = await keks.active();
      const drafts = specs.map((spec) => draftKey(tenant, spec, kek.version, kek.key));
      const column = <Name extends keyof Draft>(name: Name) => drafts.map((draft) => draft[name]);
      const columns = [column('id'), column('kind'), column('scope'), column('wrapped')];
      await query(pool, INSERT, [tenant, kek.version, clock.now(), ...columns]);
    },
    open: async (stored) => unwrapDataKey(await keks.open(stored.kekVersion), stored.wrapped, { tenant, ...stored }),
  };
}

const idBytes = (id: KeyId): Buffer => Buffer.from(id, 'hex');

const fromRow = ({ id, kek_version: kekVersion, kek_state: kekState, ...same }: DataKeyRow): StoredKey => ({
  ...same,
  id: id.toString('hex'),
  kekVersion,
  kekState,
});

interface Draft {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly wrapped: Buffer;
}

function draftKey(tenant: string, spec: KeySpec, kekVersion: number, kek: DataKey): Draft {
  const key = generateDataKey();
  const { kind } = spec;
  const scope = scopeOf(spec);
  const wrapped = wrapDataKey(kek, key, { tenant, kind, scope, id: key.id, kekVersion });
  return { id: idBytes(key.id), kind, scope, wrapped };
}
