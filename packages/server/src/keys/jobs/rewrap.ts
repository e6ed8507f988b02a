/** The rewrap: every data key under a KEK of before is wrapped under the active one. No data is touched by it. */
import type { DataKey } from '@keyward/sdk/seal';
import type { PoolClient } from 'pg';
import { z } from 'zod';
import { asKeywardError } from '../../core/index.ts';
import { query } from '../query.ts';
import { unwrapDataKey, wrapDataKey } from '../wrapping.ts';
import type { Pace } from './pace.ts';
import type { JobParts } from './parts.ts';
import { pause, type Step } from './runner.ts';
import type { Job, Progress } from './table.ts';

export interface RewrapOptions extends JobParts {
  /** Begins to count where the work begins. */
  readonly newPace: () => Pace;
  /** Keys in one step: at most as many as one entry of the ledger names. */
  readonly batchKeys: number;
}

/**
 * Where a sweep through the keys is. Keys that others hold locked are passed by, so that nobody waits for two locks of ours; they
 * are found by the next sweep. The last sweep is one that leaves nothing but damaged keys.
 */
const cursorSchema = z.strictObject({
  version: z.int(),
  /** Id of the last key looked at, in hex. */
  after: z.string(),
  /** Keys of this sweep that do not open. */
  damaged: z.int(),
});
type Cursor = z.infer<typeof cursorSchema>;

const START: Cursor = { version: 0, after: '', damaged: 0 };

interface Row {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly wrapped: Buffer;
}

export function createRewrap(options: RewrapOptions): Step {
  return async (job, commit, signal) => {
    const cursor = job.cursor === '' ? START : cursorSchema.parse(JSON.parse(job.cursor));
    const total = job.cursor === '' ? await countLeft(options) : undefined;
    const batch = await nextBatch(options, cursor);
    if (batch === undefined) return await endSweep(options, job, cursor, commit, signal);
    const { rewrapped, damaged, under } = await rewrapBatch(options, job, batch);
    return commit(async (client) => {
      const moved = await store(client, options.tenant, batch.version, under, rewrapped);
      const after = batch.rows.at(-1)!.id.toString('hex');
      const next: Cursor = { version: batch.version, after, damaged: cursor.damaged + damaged };
      return { cursor: JSON.stringify(next), done: job.done + moved, ...(total === undefined ? {} : { total }) };
    });
  };
}

/**
 * Versions whose keys are to be rewrapped: a KEK that is suspended or compromised is used only under an acceptance of that risk.
 * A key that is destroyed holds nothing to wrap.
 */
const OLD = `
  k.tenant = $1 AND k.wrapped IS NOT NULL AND (
    k.state = 'deactivated' OR k.state IN ('suspended', 'compromised') AND EXISTS (
      SELECT FROM risk_acceptance r
      WHERE r.tenant = k.tenant AND r.target = 'kek/' || k.version AND r.expires_at > $2
    )
  )`;
const COUNT = `
  SELECT count(*) AS left, array_agg(DISTINCT k.version) AS versions FROM data_key d
  JOIN kek k ON k.tenant = d.tenant AND k.version = d.kek_version WHERE d.wrapped IS NOT NULL AND ${OLD}`;
const VERSIONS = `SELECT k.version FROM kek k WHERE ${OLD} AND k.version >= $3 ORDER BY k.version`;
const BATCH = `
  SELECT id, kind, scope, wrapped FROM data_key
  WHERE tenant = $1 AND kek_version = $2 AND id > $3 AND wrapped IS NOT NULL ORDER BY id LIMIT $4`;

interface Batch {
  readonly version: number;
  readonly rows: readonly Row[];
}

async function countLeft({ pool, tenant, clock }: RewrapOptions): Promise<number> {
  const [row] = await query<{ left: string }>(pool, COUNT, [tenant, clock.now()]);
  return Number(row?.left ?? 0);
}

/** Undefined at the end of a sweep. */
async function nextBatch(
  { pool, tenant, clock, batchKeys }: RewrapOptions,
  cursor: Cursor,
): Promise<Batch | undefined> {
  const versions = await query<{ version: number }>(pool, VERSIONS, [tenant, clock.now(), cursor.version]);
  for (const { version } of versions) {
    const after = version === cursor.version ? cursor.after : '';
    const rows = await query<Row>(pool, BATCH, [tenant, version, Buffer.from(after, 'hex'), batchKeys]);
    if (rows.length > 0) return { version, rows };
  }
  return undefined;
}

interface Rewrapped {
  readonly under: number;
  readonly rewrapped: readonly { readonly id: Buffer; readonly wrapped: Buffer }[];
  readonly damaged: number;
}

/** Recorded first: with the ledger silent, nothing is opened. */
async function rewrapBatch(options: RewrapOptions, job: Job, { version, rows }: Batch): Promise<Rewrapped> {
  const { keks, recorder, events, newPace } = options;
  const under = await keks.active(rows.length);
  const facts = {
    verb: 'rewrap',
    rule: 'keys.jobs.rewrap',
    resources: [`kek/${version}`, `kek/${under.version}`],
    keyIds: [],
  };
  const reason = `${rows.length} data keys from kek/${version} to kek/${under.version}, after ${job.done}`;
  await recorder.record([events.changing(facts, { ...job.origin, reason })]);
  const from = await openOld(options, version);
  const rewrapped: { id: Buffer; wrapped: Buffer }[] = [];
  const damaged: string[] = [];
  const pace = newPace();
  for (const row of rows) {
    const wrapped = from && rewrapOne(options.tenant, row, { version, key: from }, under);
    if (wrapped) rewrapped.push({ id: row.id, wrapped });
    else damaged.push(row.id.toString('hex'));
    await pace();
  }
  if (damaged.length > 0) await raiseAlarm(options, job, version, damaged);
  return { under: under.version, rewrapped, damaged: damaged.length };
}

/** Undefined for a KEK that does not open itself: all its keys count as damaged. */
async function openOld({ keks }: RewrapOptions, version: number): Promise<DataKey | undefined> {
  try {
    return await keks.open(version);
  } catch (error) {
    const { code } = asKeywardError(error);
    if (code === 'KEYS_NOT_AUTHENTIC' || code === 'KEYS_ROOT_MISMATCH') return undefined;
    throw error;
  }
}

interface Kek {
  readonly version: number;
  readonly key: DataKey;
}

/** Opened again before it counts; the commitment says that it is the same key. Undefined for one that was damaged. */
function rewrapOne(tenant: string, row: Row, from: Kek, to: Kek): Buffer | undefined {
  const place = { tenant, kind: row.kind, scope: row.scope, id: row.id.toString('hex') };
  let key: DataKey;
  try {
    key = unwrapDataKey(from.key, row.wrapped, { ...place, kekVersion: from.version });
  } catch {
    return undefined;
  }
  const wrapped = wrapDataKey(to.key, key, { ...place, kekVersion: to.version });
  unwrapDataKey(to.key, wrapped, { ...place, kekVersion: to.version });
  return wrapped;
}

async function raiseAlarm(options: RewrapOptions, { origin }: Job, version: number, keyIds: readonly string[]) {
  const { recorder, events, log } = options;
  const facts = { verb: 'rewrap', rule: 'keys.jobs.rewrap', resources: [`kek/${version}`], keyIds };
  const { correlationId } = origin;
  log.error('wrapped data keys do not open', { code: 'KEYS_NOT_AUTHENTIC', count: keyIds.length, correlationId });
  await recorder.record([events.alarm(facts, { code: 'KEYS_NOT_AUTHENTIC', correlationId })]);
}

/**
 * What was destroyed, moved or locked meanwhile stays as it is, and so does everything once the new KEK is not active any more.
 */
const STORE = `
  WITH wanted AS (
    SELECT d.id, n.wrapped
    FROM unnest($4::bytea[], $5::bytea[]) AS n (id, wrapped)
    JOIN data_key d ON d.id = n.id
    JOIN kek k ON k.tenant = d.tenant AND k.version = $3 AND k.state = 'active'
    WHERE d.tenant = $1 AND d.kek_version = $2 AND d.wrapped IS NOT NULL
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED FOR SHARE OF k
  )
  UPDATE data_key SET kek_version = $3, wrapped = wanted.wrapped FROM wanted WHERE data_key.id = wanted.id`;

async function store(
  client: PoolClient,
  tenant: string,
  from: number,
  to: number,
  rewrapped: readonly { readonly id: Buffer; readonly wrapped: Buffer }[],
): Promise<number> {
  const columns = [rewrapped.map(({ id }) => id), rewrapped.map(({ wrapped }) => wrapped)];
  return (await client.query(STORE, [tenant, from, to, ...columns])).rowCount ?? 0;
}

/** Between two sweeps, so that whoever holds a key locked can let go of it. */
const SWEEP_PAUSE_MS = 100;

async function endSweep(
  options: RewrapOptions,
  job: Job,
  { damaged }: Cursor,
  commit: (work: () => Promise<Progress>) => Promise<Job>,
  signal: AbortSignal,
): Promise<Job> {
  const { recorder, events, log } = options;
  const left = await countLeft(options);
  if (left > damaged) {
    await pause(SWEEP_PAUSE_MS, signal);
    return commit(async () => ({ cursor: JSON.stringify(START), done: job.done }));
  }
  const { correlationId } = job.origin;
  const resources = await emptied(options);
  const reason = `${job.done} data keys rewrapped; ${left} left, which do not open; no other names these KEKs any more`;
  const facts = { verb: 'rewrap.verify', rule: 'keys.jobs.rewrap', resources, keyIds: [] };
  await recorder.record([events.changing(facts, { ...job.origin, reason })]);
  log.info('data keys rewrapped', { count: job.done, correlationId });
  const ended = left > 0 ? ({ code: 'KEYS_NOT_AUTHENTIC' } as const) : {};
  return commit(async () => ({ cursor: job.cursor, done: job.done, ended }));
}

async function emptied({ pool, tenant, clock }: RewrapOptions): Promise<string[]> {
  const versions = await query<{ version: number }>(pool, VERSIONS, [tenant, clock.now(), 0]);
  return versions.map(({ version }) => `kek/${version}`);
}
