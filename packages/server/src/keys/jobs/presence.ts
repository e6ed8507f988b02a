/** The custodians that run: each tells again and again that it is there, and which KEK it has opened. */
import type { Pool } from 'pg';
import { asKeywardError, type Log, newUuid } from '../../core/index.ts';
import type { Keks } from '../keks.ts';
import { query } from '../query.ts';
import { pause } from './runner.ts';

export interface PresenceOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly keks: Keks;
  /** Names of the roots that are configured; asked each time, since a local root has none before its first use. */
  readonly roots: () => readonly string[];
  readonly log: Log;
  readonly beatMs: number;
  /** Whoever was not heard of for so long does not run any more. */
  readonly aliveMs: number;
}

export interface Presence {
  /** Resolves once `signal` has ended it. */
  keep(signal: AbortSignal): Promise<void>;
  /** Whether every custodian that runs has opened this version. */
  allHaveOpened(version: number): Promise<boolean>;
  /** Whether every custodian that runs has a root of one of these names. */
  allCanReach(roots: readonly string[]): Promise<boolean>;
  /** Forgets custodians that ended without a word. */
  forgetTheDead(): Promise<void>;
}

const NEWEST = `
  SELECT max(version) AS version FROM kek WHERE tenant = $1 AND state IN ('pre-activation', 'active', 'deactivated')`;
/** Times are the database's own, so that clocks of hosts need not agree. */
const BEAT = `
  INSERT INTO custodian_process (tenant, id, seen_at, kek_version, roots) VALUES ($1, $2, clock_timestamp(), $3, $4)
  ON CONFLICT (tenant, id) DO UPDATE SET seen_at = excluded.seen_at, kek_version = excluded.kek_version, roots = excluded.roots`;
const ALIVE = "seen_at > clock_timestamp() - $2 * interval '1 millisecond'";
const BEHIND = `SELECT FROM custodian_process WHERE tenant = $1 AND ${ALIVE} AND kek_version < $3`;
const WITHOUT_ROOT = `SELECT FROM custodian_process WHERE tenant = $1 AND ${ALIVE} AND NOT roots && $3::text[]`;
const FORGET = `DELETE FROM custodian_process WHERE tenant = $1 AND NOT ${ALIVE}`;
const LEAVE = 'DELETE FROM custodian_process WHERE tenant = $1 AND id = $2';

export function createPresence({ pool, tenant, keks, roots, log, beatMs, aliveMs }: PresenceOptions): Presence {
  const id = newUuid();
  let proven = 0;
  const beat = async () => {
    const [newest] = await query<{ version: number | null }>(pool, NEWEST, [tenant]);
    const version = newest?.version ?? 0;
    if (version > proven) await keks.prove(version).then(() => (proven = version), warn);
    await query(pool, BEAT, [tenant, id, proven, roots()]);
  };
  const warn = (error: unknown) => log.warn('newest KEK cannot be opened', { code: asKeywardError(error).code });
  const none = async (text: string, value: unknown) => (await query(pool, text, [tenant, aliveMs, value])).length === 0;
  return {
    async keep(signal) {
      while (!signal.aborted) {
        await beat().catch((error: unknown) => log.warn('presence not told', { code: asKeywardError(error).code }));
        await pause(beatMs, signal);
      }
      await query(pool, LEAVE, [tenant, id]).catch(() => undefined);
    },
    allHaveOpened: (version) => none(BEHIND, version),
    allCanReach: (names) => none(WITHOUT_ROOT, names),
    forgetTheDead: async () => void (await query(pool, FORGET, [tenant, aliveMs])),
  };
}
