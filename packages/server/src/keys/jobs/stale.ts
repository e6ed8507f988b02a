/** What has to be re-encrypted: how many keys there are that protect no more and still open what they sealed. */
import type { Pool } from 'pg';
import { query } from '../query.ts';

export interface StaleReport {
  /** Per kind of data key and state. */
  readonly keys: readonly { readonly kind: string; readonly state: string; readonly count: number }[];
  /**
   * Data keys that were there when a KEK over them, or over keys like them, was marked as compromised: rotate and re-encrypt.
   * `active` of them still protect.
   */
  readonly exposed: readonly {
    readonly kek: string;
    readonly kind: string;
    readonly count: number;
    readonly active: number;
  }[];
  readonly advice: string;
}

const KEYS = `
  SELECT kind, state, count(*) AS count FROM data_key
  WHERE tenant = $1 AND state IN ('deactivated', 'compromised') GROUP BY kind, state ORDER BY kind, state`;

/** Which KEK wrapped a key before a rewrap is not kept: whatever is older than the mark counts, rather too much than too little. */
const EXPOSED = `
  SELECT 'kek/' || k.version AS kek, d.kind, count(*) AS count,
    count(*) FILTER (WHERE d.state = 'active')::integer AS active
  FROM kek k
  JOIN key_transition t ON t.tenant = k.tenant AND t.kek_version = k.version AND t.to_state = 'compromised'
  JOIN data_key d ON d.tenant = k.tenant AND d.created_at <= t.at AND d.state <> 'destroyed'
  WHERE k.tenant = $1 AND (k.state = 'compromised' OR k.compromised_later)
  GROUP BY k.version, d.kind ORDER BY k.version, d.kind`;

const ADVICE =
  'Exposed keys count until they are destroyed: which data is still sealed under a key, only its ciphertexts tell. Those that are active protect new data too, until they are rotated. Data sealed under these keys is re-encrypted under the active ones by "keyward seal backfill --rekey", or with everything else by --reseal; ledger entries and stored bodies stay as they are until their keys end.';

interface Counted {
  readonly kind: string;
  readonly count: string;
}

export async function findStale(pool: Pool, tenant: string): Promise<StaleReport> {
  const keys = await query<Counted & { state: string }>(pool, KEYS, [tenant]);
  const exposed = await query<Counted & { kek: string; active: number }>(pool, EXPOSED, [tenant]);
  const counted = <Row extends Counted>(rows: readonly Row[]) =>
    rows.map((row) => ({ ...row, count: Number(row.count) }));
  return { keys: counted(keys), exposed: counted(exposed), advice: ADVICE };
}
