/** The tenant's key-encryption keys: wrapped by the root in the database, opened only in this process. */
import { randomBytes } from 'node:crypto';
import { type DataKey, generateDataKey, type KeyId, openBytes, sealBytes } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { type Clock, KeywardError } from '../core/index.ts';
import { nameOfRoot, rootNamed, unwrapKek, wrapKek } from './kek-roots.ts';
import { permits } from './lifecycle.ts';
import { query } from './query.ts';
import type { Root } from './roots/root.ts';
import { together } from './together.ts';
import { usageOf } from './usage.ts';

export interface KeksOptions {
  readonly pool: Pool;
  readonly root: Root;
  /** The root that the installation moves to. */
  readonly nextRoot?: Root | undefined;
  readonly tenant: string;
  readonly clock: Clock;
}

interface Kek {
  readonly version: number;
  readonly key: DataKey;
}

export interface Keks {
  /** Makes the first KEK where there is none, and proves that the root opens the newest. Undefined when its state forbids that. */
  start(): Promise<{ readonly id: KeyId; readonly created: boolean } | undefined>;
  /**
   * The KEK that wraps new data keys, for so many of them; they are counted before any is wrapped.
   * @throws KeywardError `KEYS_STATE_REFUSED` | `KEYS_EXHAUSTED`
   */
  active(wraps: number): Promise<Kek>;
  /** Held once opened, so that an outage of the root does not stop what runs. Whether its state permits the use is the caller's check. */
  open(version: number): Promise<DataKey>;
  /** A new KEK of this version, wrapped by the root that the one in use stands on, and stored nowhere yet. */
  draft(version: number): Promise<WrappedKek>;
  /** Opens this version and tries it: the proof of possession without which it is not promoted. */
  prove(version: number): Promise<void>;
  /** Lets go of opened versions that were compromised or destroyed meanwhile. */
  review(): Promise<void>;
}

export interface WrappedKek {
  readonly id: KeyId;
  readonly root: string;
  /** The root that the KEK in use stood on meanwhile: should that have moved when this is stored, it must be made anew. */
  readonly beside: string | null;
  readonly wrapped: Buffer;
}

interface KekRow {
  readonly version: number;
  readonly id: Buffer;
  readonly state: string;
  readonly root: string;
  readonly wrapped: Buffer | null;
}

const SELECT = 'SELECT version, id, state, root, wrapped FROM kek WHERE tenant = $1';
const SELECT_NEWEST = `${SELECT} ORDER BY version DESC LIMIT 1`;
const SELECT_ACTIVE = `${SELECT} AND state = 'active'`;
const SELECT_IN_USE = `${SELECT} AND wrapped IS NOT NULL ORDER BY state = 'active' DESC, version DESC LIMIT 1`;
const SELECT_VERSION = `${SELECT} AND version = $2`;
/** Whatever their states permit, no process holds these opened without need. */
const SELECT_ENDED = `
  SELECT version FROM kek WHERE tenant = $1 AND version = ANY ($2) AND state IN ('compromised', 'destroyed')`;
/** Two custodians that start at once agree on whichever came first. */
const INSERT_FIRST = `
  INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at, activated_at, rooted_at)
  VALUES ($1, 1, $2, 'active', $3, $4, $5, $5, $5) ON CONFLICT DO NOTHING RETURNING version`;

/** Wraps that are counted at once, so that not every new key waits for the row of its KEK. What is not used of them is lost. */
const LEASED_WRAPS = 4096;
const LEASE = `
  UPDATE kek SET uses = uses + $3 WHERE tenant = $1 AND version = $2 AND state = 'active' RETURNING uses`;
/** A version that is promoted between two looks at it is looked for again. */
const ACTIVE_ATTEMPTS = 3;
const KEK_BYTES = 32;

export function createKeks(options: KeksOptions): Keks {
  const { pool, root, nextRoot, tenant } = options;
  const roots = nextRoot === undefined ? [root] : [root, nextRoot];
  const opened = new Map<number, Promise<DataKey>>();
  const select = async (text: string, ...more: unknown[]) => (await query<KekRow>(pool, text, [tenant, ...more]))[0];
  const hold = (version: number, row: () => Promise<KekRow | undefined>) => {
    const held = opened.get(version) ?? row().then((found) => unwrapKek(roots, tenant, required(found)));
    opened.set(version, held);
    held.catch(() => opened.delete(version));
    return held;
  };
  const open = (version: number) => hold(version, () => select(SELECT_VERSION, version));
  const activeRow = together(async (asked: readonly number[]) => {
    const row = await select(SELECT_ACTIVE);
    return asked.map(() => row);
  });
  const leased = new Map<number, number>();
  /** False when the version is not active any more. */
  const lease = async (version: number, wraps: number): Promise<boolean> => {
    if ((leased.get(version) ?? 0) < wraps) {
      const block = Math.max(LEASED_WRAPS, wraps);
      const [row] = await query<{ uses: string }>(pool, LEASE, [tenant, version, block]);
      if (row === undefined) return false;
      if (usageOf(Number(row.uses)) === 'exhausted') throw new KeywardError('KEYS_EXHAUSTED');
      leased.set(version, (leased.get(version) ?? 0) + block);
    }
    leased.set(version, (leased.get(version) ?? 0) - wraps);
    return true;
  };
  return {
    async start() {
      const created = !(await select(SELECT_NEWEST)) && (await insertFirst(options));
      const newest = await select(SELECT_NEWEST);
      if (!newest || !permits(newest.state, 'process')) return undefined;
      const key = await hold(newest.version, async () => newest);
      return { id: key.id, created };
    },
    async active(wraps) {
      for (let attempt = 0; attempt < ACTIVE_ATTEMPTS; attempt++) {
        const [row] = await activeRow([wraps]);
        if (!row || !permits(row.state, 'protect')) break;
        const key = await hold(row.version, async () => row);
        if (await lease(row.version, wraps)) return { version: row.version, key };
      }
      throw new KeywardError('KEYS_STATE_REFUSED');
    },
    open,
    async draft(version) {
      const beside = await select(SELECT_IN_USE);
      const drafted = await draftKek(beside === undefined ? root : rootNamed(roots, beside.root), tenant, version);
      return { ...drafted, beside: beside?.root ?? null };
    },
    prove: async (version) => tryOut(await open(version)),
    async review() {
      const held = [...opened.keys()];
      const ended = await query<{ version: number }>(pool, SELECT_ENDED, [tenant, held]);
      for (const { version } of ended) opened.delete(version);
    },
  };
}

async function insertFirst({ pool, root, tenant, clock }: KeksOptions): Promise<boolean> {
  const { id, root: name, wrapped } = await draftKek(root, tenant, 1);
  const inserted = await query(pool, INSERT_FIRST, [tenant, Buffer.from(id, 'hex'), name, wrapped, clock.now()]);
  return inserted.length > 0;
}

/** The name is asked for last: a local root has none before it wrapped something. */
async function draftKek(root: Root, tenant: string, version: number): Promise<Omit<WrappedKek, 'beside'>> {
  const kek = generateDataKey();
  const wrapped = await wrapKek(root, tenant, version, kek);
  return { id: kek.id, root: nameOfRoot(root), wrapped };
}

function required(row: KekRow | undefined): KekRow {
  if (row === undefined) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  return row;
}

function tryOut(kek: DataKey): void {
  const [probe, aad] = [randomBytes(KEK_BYTES), Buffer.from('keyward/kek-probe/1')];
  if (!openBytes(kek, aad, sealBytes(kek, aad, probe)).equals(probe)) throw new KeywardError('KEYS_NOT_AUTHENTIC');
}
