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
  /**
   * One key for each of these specs, in any order: the active one, or else whichever there is, so that its state can be
   * judged. A spec is missing in the answer when it never had a key.
   */
  findBySpecs(specs: readonly KeySpec[]): Promise<StoredKey[]>;
  findByIds(ids: readonly KeyId[]): Promise<StoredKey[]>;
  /** New active keys of these specs, which exist nowhere yet. @throws KeywardError `KEYS_STATE_REFUSED` */
  draft(specs: readonly KeySpec[]): Promise<StoredKey[]>;
  /** Stores each draft whose spec has no key by then. */
  insert(drafts: readonly StoredKey[]): Promise<void>;
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

const SELECT_SPECS = `
  SELECT DISTINCT ON (kind, scope) * FROM (
    ${SELECT} JOIN unnest($2::text[], $3::text[]) AS wanted (kind, scope) ON wanted.kind = d.kind AND wanted.scope = d.scope
    WHERE d.tenant = $1
  ) AS found ORDER BY kind, scope, state = 'active' DESC`;

const SELECT_IDS = `${SELECT} WHERE d.tenant = $1 AND d.id = ANY ($2::bytea[])`;

/** Sorted, so that two callers who make the same keys at once wait for each other in one order and never deadlock. */
const INSERT = `
  INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at)
  SELECT draft.id, k.tenant, draft.kind, draft.scope, k.version, 'active', draft.wrapped, $2
  FROM unnest($3::bytea[], $4::text[], $5::text[], $6::integer[], $7::bytea[])
    AS draft (id, kind, scope, kek_version, wrapped)
  JOIN kek k ON k.tenant = $1 AND k.version = draft.kek_version AND k.state = 'active'
  WHERE NOT EXISTS (SELECT FROM data_key d WHERE d.tenant = $1 AND d.kind = draft.kind AND d.scope = draft.scope)
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
    findBySpecs: (specs) =>
      select(
        SELECT_SPECS,
        specs.map(({ kind }) => kind),
        specs.map(scopeOf),
      ),
    findByIds: (ids) => select(SELECT_IDS, ids.map(idBytes)),
    async draft(specs) {
      const kek = await keks.active();
      return specs.map((spec) => draftKey(tenant, spec, kek.version, kek.key));
    },
    async insert(drafts) {
      const column = <Name extends keyof StoredKey>(name: Name) => drafts.map((draft) => draft[name]);
      const ids = drafts.map(({ id }) => idBytes(id));
      const columns = [ids, column('kind'), column('scope'), column('kekVersion'), column('wrapped')];
      await query(pool, INSERT, [tenant, clock.now(), ...columns]);
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

function draftKey(tenant: string, spec: KeySpec, kekVersion: number, kek: DataKey): StoredKey {
  const key = generateDataKey();
  const place = { tenant, kind: spec.kind, scope: scopeOf(spec), id: key.id, kekVersion };
  return { ...place, state: 'active', kekState: 'active', wrapped: wrapDataKey(kek, key, place) };
}
