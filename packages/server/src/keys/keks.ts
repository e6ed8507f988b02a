/** The tenant's key-encryption keys: wrapped by the root in the database, opened only in this process. */
import { createDataKey, type DataKey, generateDataKey, type KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { type Clock, KeywardError } from '../core/index.ts';
import { permits } from './lifecycle.ts';
import { query } from './query.ts';
import type { Root } from './roots/root.ts';
import { kekAad } from './wrapping.ts';

export interface KeksOptions {
  readonly pool: Pool;
  readonly root: Root;
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
  /** The KEK that wraps new data keys. */
  active(): Promise<Kek>;
  /** Held once opened, so that an outage of the root does not stop what runs. Whether its state permits the use is the caller's check. */
  open(version: number): Promise<DataKey>;
}

interface KekRow {
  readonly version: number;
  readonly id: Buffer;
  readonly state: string;
  readonly wrapped: Buffer;
}

const SELECT = 'SELECT version, id, state, wrapped FROM kek WHERE tenant = $1';
const SELECT_NEWEST = `${SELECT} ORDER BY version DESC LIMIT 1`;
const SELECT_ACTIVE = `${SELECT} AND state = 'active'`;
const SELECT_VERSION = `${SELECT} AND version = $2`;
/** Two custodians that start at once agree on whichever came first. */
const INSERT_FIRST = `
  INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at)
  VALUES ($1, 1, $2, 'active', $3, $4, $5) ON CONFLICT DO NOTHING RETURNING version`;

export function createKeks(options: KeksOptions): Keks {
  const { pool, tenant } = options;
  const opened = new Map<number, Promise<DataKey>>();
  const select = async (text: string, ...more: unknown[]) => (await query<KekRow>(pool, text, [tenant, ...more]))[0];
  const hold = (version: number, row: () => Promise<KekRow | undefined>) => {
    const held = opened.get(version) ?? row().then((found) => unwrapKek(options, found));
    opened.set(version, held);
    held.catch(() => opened.delete(version));
    return held;
  };
  return {
    async start() {
      const created = !(await select(SELECT_NEWEST)) && (await insertFirst(options));
      const newest = await select(SELECT_NEWEST);
      if (!newest || !permits(newest.state, 'process')) return undefined;
      const key = await hold(newest.version, async () => newest);
      return { id: key.id, created };
    },
    async active() {
      const row = await select(SELECT_ACTIVE);
      if (!row || !permits(row.state, 'protect')) throw new KeywardError('KEYS_STATE_REFUSED');
      return { version: row.version, key: await hold(row.version, async () => row) };
    },
    open: (version) => hold(version, () => select(SELECT_VERSION, version)),
  };
}

async function insertFirst({ pool, root, tenant, clock }: KeksOptions): Promise<boolean> {
  const kek = generateDataKey();
  const bytes = kek.secret.export();
  try {
    const wrapped = await root.wrap(bytes, kekAad(tenant, 1));
    const id = Buffer.from(kek.id, 'hex');
    const inserted = await query(pool, INSERT_FIRST, [tenant, id, root.describe().provider, wrapped, clock.now()]);
    return inserted.length > 0;
  } finally {
    bytes.fill(0);
  }
}

async function unwrapKek({ root, tenant }: KeksOptions, row: KekRow | undefined): Promise<DataKey> {
  if (!row) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  const key = createDataKey(await root.unwrap(row.wrapped, kekAad(tenant, row.version)));
  if (key.id !== row.id.toString('hex')) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  return key;
}
