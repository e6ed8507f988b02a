/** The tenant's data keys as the database holds them: found, made, opened. */
import { randomBytes } from 'node:crypto';
import { type DataKey, generateDataKey, type KeyId, type RandomBytes } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { type Clock, KeywardError } from '../core/index.ts';
import type { Wanted } from './grants.ts';
import type { Keks } from './keks.ts';
import { query } from './query.ts';
import { together } from './together.ts';
import { unwrapDataKey, wrapDataKey } from './wrapping.ts';

/** A wrapped data key. Nothing in it is believed before it has been opened. */
export interface StoredKey {
  readonly id: KeyId;
  readonly kind: string;
  readonly scope: string;
  readonly state: string;
  readonly kekVersion: number;
  readonly kekState: string;
  /** Null before it first protected. */
  readonly activatedAt: Date | null;
  /** Seals that were counted for it, when it was read. */
  readonly uses: number;
  /** Of a key that waits for its destruction, or whose KEK does: the id of that destruction. */
  readonly destruction: string | null;
  /** Null once it is destroyed. */
  readonly wrapped: Buffer | null;
}

export interface DataKeys {
  /**
   * One key for each of these specs, in any order: the active one, or else whichever there is, so that its state can be
   * judged. A spec is missing in the answer when it never had a key.
   */
  findBySpecs(specs: readonly Wanted[]): Promise<StoredKey[]>;
  findByIds(ids: readonly KeyId[]): Promise<StoredKey[]>;
  /** New active keys of these specs, which exist nowhere yet. @throws KeywardError `KEYS_STATE_REFUSED` */
  draft(specs: readonly Wanted[]): Promise<StoredKey[]>;
  /** Stores each draft whose spec has no key by then, and returns those. */
  insert(drafts: readonly StoredKey[], seals?: readonly number[]): Promise<StoredKey[]>;
  open(stored: StoredKey): Promise<DataKey>;
}

interface DataKeyRow {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly state: string;
  readonly kek_version: number;
  readonly kek_state: string;
  readonly activated_at: Date | null;
  /** `bigint`, as text. */
  readonly uses: string;
  readonly destruction: string | null;
  readonly wrapped: Buffer | null;
}

const SELECT = `
  SELECT d.id, d.kind, d.scope, d.state, d.kek_version, k.state AS kek_state, d.activated_at, d.uses, d.wrapped,
    coalesce(d.destruction, k.destruction) AS destruction
  FROM data_key d JOIN kek k ON k.tenant = d.tenant AND k.version = d.kek_version`;

/** A look into the index for each spec, whatever the planner takes the table for: it must not read every key there is. */
const SELECT_SPECS = `
  SELECT found.* FROM unnest($2::text[], $3::text[]) AS wanted (kind, scope)
  CROSS JOIN LATERAL (
    ${SELECT} WHERE d.tenant = $1 AND d.kind = wanted.kind AND d.scope = wanted.scope
    ORDER BY d.state = 'active' DESC LIMIT 1
  ) AS found`;

const SELECT_IDS = `${SELECT} WHERE d.tenant = $1 AND d.id = ANY ($2::bytea[])`;

/**
 * Sorted, so that two callers who make the same keys at once wait for each other in one order and never deadlock. A promotion of
 * another KEK waits for this insert, or this insert sees it and makes nothing: no key stays behind under the KEK of before.
 */
const INSERT = `
  INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at, activated_at, uses)
  SELECT draft.id, k.tenant, draft.kind, draft.scope, k.version, 'active', draft.wrapped, $2, $2, draft.seals
  FROM unnest($3::bytea[], $4::text[], $5::text[], $6::integer[], $7::bytea[], $8::bigint[])
    AS draft (id, kind, scope, kek_version, wrapped, seals)
  JOIN kek k ON k.tenant = $1 AND k.version = draft.kek_version AND k.state = 'active'
  WHERE NOT EXISTS (SELECT FROM data_key d WHERE d.tenant = $1 AND d.kind = draft.kind AND d.scope = draft.scope)
  ORDER BY draft.kind, draft.scope
  FOR SHARE OF k
  ON CONFLICT (tenant, kind, scope) WHERE state = 'active' DO NOTHING
  RETURNING id`;

export interface DataKeysOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly keks: Keks;
  readonly clock: Clock;
}

export function createDataKeys({ pool, tenant, keks, clock }: DataKeysOptions): DataKeys {
  const select = async (text: string, ...values: unknown[]) =>
    (await query<DataKeyRow>(pool, text, [tenant, ...values])).map(fromRow);
  const bySpec = together(async (specs: readonly Wanted[]) => {
    const wanted = [...new Map(specs.map((spec) => [specName(spec), spec])).values()];
    const kinds = wanted.map(({ kind }) => kind);
    const scopes = wanted.map(({ scope }) => scope);
    const found = new Map((await select(SELECT_SPECS, kinds, scopes)).map((key) => [specName(key), key]));
    return specs.map((spec) => found.get(specName(spec)));
  });
  const byId = together(async (ids: readonly KeyId[]) => {
    const found = new Map((await select(SELECT_IDS, [...new Set(ids)].map(idBytes))).map((key) => [key.id, key]));
    return ids.map((id) => found.get(id));
  });
  const store = together((drafts: readonly Draft[]) => insertAll(pool, tenant, clock, drafts));
  /** A key that was made in this process need not be unwrapped to be had. */
  const made = new WeakMap<StoredKey, DataKey>();
  return {
    findBySpecs: async (specs) => (await bySpec(specs)).filter((found) => found !== undefined),
    findByIds: async (ids) => (await byId(ids)).filter((found) => found !== undefined),
    async draft(specs) {
      const kek = await keks.active(specs.length);
      const activatedAt = clock.now();
      const random = drawAtOnce(specs.length * RANDOM_BYTES_PER_KEY);
      return specs.map((spec) => {
        const key = generateDataKey(random);
        const draft = { ...draftKey(tenant, spec, kek, key, random), activatedAt };
        made.set(draft, key);
        return draft;
      });
    },
    async insert(drafts, seals = []) {
      const stored = await store(drafts.map((key, at) => ({ key, seals: seals[at] ?? 0 })));
      return drafts.filter((_, at) => stored[at]);
    },
    async open(stored) {
      const own = made.get(stored);
      if (own) return own;
      if (stored.wrapped === null) throw new KeywardError('KEYS_STATE_REFUSED');
      return unwrapDataKey(await keks.open(stored.kekVersion), stored.wrapped, { tenant, ...stored });
    },
  };
}

const idBytes = (id: KeyId): Buffer => Buffer.from(id, 'hex');

const fromRow = ({
  id,
  kek_version: kekVersion,
  kek_state: kekState,
  activated_at: activatedAt,
  uses,
  ...same
}: DataKeyRow): StoredKey => ({
  ...same,
  uses: Number(uses),
  id: id.toString('hex'),
  kekVersion,
  kekState,
  activatedAt,
});

interface Draft {
  readonly key: StoredKey;
  readonly seals: number;
}

/** Whether each was stored. */
async function insertAll(pool: Pool, tenant: string, clock: Clock, drafts: readonly Draft[]): Promise<boolean[]> {
  const column = <Name extends keyof StoredKey>(name: Name) => drafts.map(({ key }) => key[name]);
  const ids = drafts.map(({ key }) => idBytes(key.id));
  const columns = [ids, column('kind'), column('scope'), column('kekVersion'), column('wrapped')];
  const seals = drafts.map((draft) => draft.seals);
  const rows = await query<{ id: Buffer }>(pool, INSERT, [tenant, clock.now(), ...columns, seals]);
  const stored = new Set(rows.map(({ id }) => id.toString('hex')));
  return drafts.map(({ key }) => stored.has(key.id));
}

const specName = ({ kind, scope }: Wanted): string => `${kind} ${scope}`;

type Kek = Awaited<ReturnType<Keks['active']>>;

/** The key itself, and the nonce it is wrapped with. */
const RANDOM_BYTES_PER_KEY = 32 + 12;

/** One draw for many keys; no part of it is given twice, and whoever gets a key's bytes wipes them. */
function drawAtOnce(sizeBytes: number): RandomBytes {
  const drawn = randomBytes(sizeBytes);
  let at = 0;
  return (wantedBytes) => {
    if (at + wantedBytes > sizeBytes) return randomBytes(wantedBytes);
    return drawn.subarray(at, (at += wantedBytes));
  };
}

function draftKey(
  tenant: string,
  { kind, scope }: Wanted,
  kek: Kek,
  key: DataKey,
  random: RandomBytes,
): Omit<StoredKey, 'activatedAt'> {
  const place = { tenant, kind, scope, id: key.id, kekVersion: kek.version };
  return {
    ...place,
    state: 'active',
    kekState: 'active',
    uses: 0,
    destruction: null,
    wrapped: wrapDataKey(kek.key, key, place, random),
  };
}
