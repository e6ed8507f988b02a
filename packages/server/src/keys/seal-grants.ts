/** Seals that processes may make with a key: counted for good before the key is handed out, so that no key seals too often. */
import type { KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { KeywardError } from '../core/index.ts';
import type { StoredKey } from './data-keys.ts';
import { query } from './query.ts';
import { EXHAUSTED_USES, MOST_USES, type Usage, usageOf } from './usage.ts';

/** Keys that make HMACs: what they have made is counted too, but nothing wears out. */
const UNLIMITED_KINDS: ReadonlySet<string> = new Set(['index', 'pseudonym']);

/** More than anybody counts to, and within a bigint. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export interface SealGrantsOptions {
  readonly pool: Pool;
  readonly tenant: string;
  /** Told once for each step that a key reaches: `warn`, `rotate`. */
  readonly onUsage: (key: StoredKey, usage: Usage) => void;
}

/**
 * Counts what is asked for each key, in one statement for all of them.
 * @throws KeywardError `KEYS_EXHAUSTED` when one of them bears no more
 */
export type GrantSeals = (keys: readonly StoredKey[], seals: readonly number[]) => Promise<void>;

/**
 * A key grants as long as it is not exhausted, and never what would take it past all that it bears. Rows are locked in one order,
 * so that two calls about the same keys wait for each other and never deadlock.
 */
const COUNT = `
  WITH asked AS (
    SELECT * FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[]) AS asked (id, seals, before, most)
  ), locked AS MATERIALIZED (
    SELECT d.id, d.state, d.uses, asked.seals, asked.before, asked.most
    FROM data_key d JOIN asked ON asked.id = d.id
    WHERE d.tenant = $1 ORDER BY d.id FOR NO KEY UPDATE OF d
  )
  UPDATE data_key d SET uses = d.uses + locked.seals
  FROM locked WHERE d.id = locked.id AND d.state = 'active'
    AND locked.uses < locked.before AND locked.uses + locked.seals <= locked.most
  RETURNING d.id, locked.uses AS before, d.uses AS after`;

interface CountedRow {
  readonly id: Buffer;
  /** `bigint`, as text. */
  readonly before: string;
  readonly after: string;
}

export function createSealGrants({ pool, tenant, onUsage }: SealGrantsOptions): GrantSeals {
  return async (keys, seals) => {
    const asked = askedOf(keys, seals);
    if (asked.length === 0) return;
    const columns = [
      asked.map(({ key }) => Buffer.from(key.id, 'hex')),
      asked.map(({ count }) => count),
      asked.map(({ key }) => (UNLIMITED_KINDS.has(key.kind) ? NO_LIMIT : EXHAUSTED_USES)),
      asked.map(({ key }) => (UNLIMITED_KINDS.has(key.kind) ? NO_LIMIT : MOST_USES)),
    ];
    const rows = await query<CountedRow>(pool, COUNT, [tenant, ...columns]);
    const counted = new Map(rows.map((row) => [row.id.toString('hex'), row]));
    for (const { key } of asked) tell(key, counted.get(key.id) ?? refuse(), onUsage);
  };
}

interface Asked {
  readonly key: StoredKey;
  readonly count: number;
}

/** Each key once, with all that is asked for it. */
function askedOf(keys: readonly StoredKey[], seals: readonly number[]): Asked[] {
  const byId = new Map<KeyId, Asked>();
  for (const [at, key] of keys.entries()) {
    const count = (byId.get(key.id)?.count ?? 0) + (seals[at] ?? 1);
    if (count > 0) byId.set(key.id, { key, count });
  }
  return [...byId.values()];
}

function tell(key: StoredKey, { before, after }: CountedRow, onUsage: SealGrantsOptions['onUsage']): void {
  if (UNLIMITED_KINDS.has(key.kind)) return;
  const usage = usageOf(Number(after));
  if (usage !== usageOf(Number(before))) onUsage(key, usage);
}

/** It was active when it was found, a moment ago: whoever asks again hears of another reason, if there is one. */
function refuse(): never {
  throw new KeywardError('KEYS_EXHAUSTED');
}
