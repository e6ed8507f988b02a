/** What the key database says of itself that never goes back: the generation of the installation, and what was counted in it. */
import type { Pool } from 'pg';
import { type Clock, newUuid } from '../../core/index.ts';
import { query } from '../query.ts';

export interface Installation {
  readonly id: string;
  readonly generation: bigint;
  /** 0 before the first KEK. */
  readonly kekVersion: number;
  /** The active KEK; where there is none, another that is not destroyed. It is not destroyed before another one is active. */
  readonly openKekVersion: number | undefined;
}

/** What was counted so far. None of it goes back, and none of it makes the generation grow. */
export interface Tally {
  readonly dataKeys: bigint;
  /** Seals that were promised of all data keys together, and wraps of all KEKs. */
  readonly seals: bigint;
  readonly wraps: bigint;
}

export interface TalliedInstallation extends Installation {
  readonly tally: Tally;
}

const INSERT =
  'INSERT INTO installation (tenant, id, generation, seen_at) VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING';

/** Made once, when the custodian first starts. */
export async function ensureInstallation(pool: Pool, tenant: string, clock: Clock): Promise<void> {
  await query(pool, INSERT, [tenant, newUuid(), clock.now()]);
}

const SELECT = `
  SELECT i.id, i.generation::text, newest.kek, newest.open_kek
  FROM installation i CROSS JOIN LATERAL (
    SELECT max(version) AS kek, (array_agg(version ORDER BY state = 'active' DESC, destruction IS NULL DESC, version DESC)
      FILTER (WHERE wrapped IS NOT NULL))[1] AS open_kek
    FROM kek WHERE kek.tenant = i.tenant
  ) AS newest WHERE i.tenant = $1`;

interface InstallationRow {
  readonly id: string;
  readonly generation: string;
  readonly kek: number | null;
  readonly open_kek: number | null;
}

/** Without the tally, which takes a look at every key. */
export async function glanceAtInstallation(pool: Pool, tenant: string): Promise<Installation | undefined> {
  const [row] = await query<InstallationRow>(pool, SELECT, [tenant]);
  if (!row) return undefined;
  const { id, generation, kek, open_kek } = row;
  return { id, generation: BigInt(generation), kekVersion: kek ?? 0, openKekVersion: open_kek ?? undefined };
}

export async function readInstallation(pool: Pool, tenant: string): Promise<TalliedInstallation | undefined> {
  const found = await glanceAtInstallation(pool, tenant);
  return found && { ...found, tally: await readTally(pool, tenant) };
}

const SELECT_TALLY = `
  SELECT count(*)::text AS keys, coalesce(sum(uses), 0)::text AS seals,
    (SELECT coalesce(sum(uses), 0)::text FROM kek WHERE tenant = $1) AS wraps
  FROM data_key WHERE tenant = $1`;

export async function readTally(pool: Pool, tenant: string): Promise<Tally> {
  const [row] = await query<{ keys: string; seals: string; wraps: string }>(pool, SELECT_TALLY, [tenant]);
  return { dataKeys: BigInt(row?.keys ?? 0), seals: BigInt(row?.seals ?? 0), wraps: BigInt(row?.wraps ?? 0) };
}

const COUNTERS = ['dataKeys', 'seals', 'wraps'] as const;

export const isLess = (tally: Tally, before: Tally): boolean => COUNTERS.some((name) => tally[name] < before[name]);

export const isSameTally = (one: Tally, other: Tally): boolean => COUNTERS.every((name) => one[name] === other[name]);
