/** The rotation of the KEK in two phases: a new version reaches every custodian, and only then it is promoted. */
import type { PoolClient } from 'pg';
import { KeywardError, newUuid } from '../../core/index.ts';
import type { WrappedKek } from '../keks.ts';
import { applyChanges } from '../lifecycle/changes.ts';
import { type KeyVersion, selectKeks, selectVersions } from '../lifecycle/versions.ts';
import { nameOfPerson } from '../operators.ts';
import { query } from '../query.ts';
import type { JobParts } from './parts.ts';
import type { Presence } from './presence.ts';
import { pause, type Step } from './runner.ts';
import { insertJob, type Job, type Origin } from './table.ts';

export interface RotateKekOptions extends JobParts {
  readonly presence: Presence;
  /** How long the custodians have to open the new version. */
  readonly distributionMs: number;
  /** How often is looked whether they have. */
  readonly lookMs: number;
}

/** Made, opened everywhere, promoted. */
const PHASES = 3;

/** Cursor: empty until there is a version to promote, then its number. */
export function createRotateKek(options: RotateKekOptions): Step {
  return async (job, commit, signal) => {
    if (job.cursor === '') return commit(() => prepare(options, job.origin));
    const version = Number(job.cursor);
    if (await isPromoted(options, version)) return commit(async () => ({ ...at(version, PHASES), ended: {} }));
    await options.keks.prove(version);
    if (!(await options.presence.allHaveOpened(version))) return await wait(options, job, signal);
    const states = await selectKeks(options.pool, options.tenant);
    await recordPromotion(options, job.origin, states, version);
    return commit(async (client) => {
      await promote(client, options, job.origin, version);
      return { ...at(version, PHASES), ended: {} };
    });
  };
}

const at = (version: number, done: number) => ({ cursor: String(version), done, total: PHASES });

/** A version that waits from a rotation that failed is taken up again, so that numbers are not used up by failures. */
async function prepare(options: RotateKekOptions, origin: Origin) {
  const { pool, tenant, clock, keks, recorder, events } = options;
  const versions = await selectKeks(pool, tenant);
  const waiting = versions.find(({ state, destruction }) => state === 'pre-activation' && destruction === null);
  if (waiting) return at(waiting.kekVersion, 1);
  const version = Math.max(0, ...versions.map(({ kekVersion }) => kekVersion)) + 1;
  const draft = await keks.draft(version);
  const facts = { verb: 'kek.create', rule: 'keys.jobs.rotate-kek', resources: [`kek/${version}`], keyIds: [draft.id] };
  await recorder.record([events.changing(facts, origin)]);
  await insertVersion(options, origin, version, draft, clock.now());
  const stored = await selectVersions(pool, tenant, { kek: version });
  return stored.length > 0 ? at(version, 1) : { cursor: '', done: 0, total: PHASES };
}

/**
 * In one statement, so that no version is without the row that tells where it came from. While KEKs move to another root, one
 * that was wrapped by the root of before is stored only where the move has yet to come by.
 */
const INSERT = `
  WITH made AS (
    INSERT INTO kek (tenant, version, id, state, root, wrapped, created_at, rooted_at)
    SELECT $2, $3, $4, 'pre-activation', $5, $6, $7, $7
    WHERE $11::text IS NOT DISTINCT FROM (
      SELECT root FROM kek WHERE tenant = $2 AND wrapped IS NOT NULL
      ORDER BY state = 'active' DESC, version DESC LIMIT 1 FOR SHARE
    )
    ON CONFLICT DO NOTHING RETURNING version
  )
  INSERT INTO key_transition (id, tenant, kek_version, from_state, to_state, at, actor, reason, correlation_id)
  SELECT $1, $2, version, NULL, 'pre-activation', $7, $8, $9, $10 FROM made`;

/** Where another custodian made this version first, that one is promoted. */
async function insertVersion(
  { pool, tenant }: RotateKekOptions,
  { by, reason, correlationId }: Origin,
  version: number,
  { id, root, wrapped, beside }: WrappedKek,
  now: Date,
): Promise<void> {
  const made = [newUuid(), tenant, version, Buffer.from(id, 'hex'), root, wrapped, now];
  await query(pool, INSERT, [...made, nameOfPerson(by), reason, correlationId, beside]);
}

async function wait({ distributionMs, lookMs, clock }: RotateKekOptions, job: Job, signal: AbortSignal): Promise<Job> {
  if (clock.now().getTime() - job.updatedAt.getTime() > distributionMs)
    throw new KeywardError('KEYS_KEK_NOT_OPENED', { detail: `kek/${job.cursor} stays in pre-activation.` });
  await pause(lookMs, signal);
  return job;
}

async function isPromoted({ pool, tenant }: RotateKekOptions, version: number): Promise<boolean> {
  const [row] = await selectVersions(pool, tenant, { kek: version });
  return row?.state === 'active';
}

async function recordPromotion(
  { recorder, events }: RotateKekOptions,
  origin: Origin,
  versions: readonly KeyVersion[],
  version: number,
): Promise<void> {
  const changed = versions.filter(({ kekVersion, state }) => kekVersion === version || state === 'active');
  const rule = (verb: string) => `keys.jobs.rotate-kek.${verb}`;
  await recorder.record(
    changed.map(({ ref, id, kekVersion }) => {
      const verb = kekVersion === version ? 'promote' : 'deactivate';
      return events.changing({ verb: `kek.${verb}`, rule: rule(verb), resources: [ref], keyIds: [id] }, origin);
    }),
  );
}

/** The rewrap is ordered with it; one that runs already takes along what is left under the version of before. */
async function promote(
  client: PoolClient,
  { tenant, clock }: RotateKekOptions,
  origin: Origin,
  version: number,
): Promise<void> {
  const now = clock.now();
  const why = { ...origin, at: now };
  const [next] = await selectVersions(client, tenant, { kek: version }, 'FOR UPDATE OF v');
  if (next?.state !== 'pre-activation' || next.destruction !== null)
    throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: `kek/${version} is not in pre-activation any more.` });
  const active = (await selectKeks(client, tenant)).find(({ state }) => state === 'active');
  if (active) {
    const [locked] = await selectVersions(client, tenant, { kek: active.kekVersion }, 'FOR UPDATE OF v');
    if (locked?.state === 'active') await applyChanges(client, tenant, [{ version: locked, to: 'deactivated' }], why);
  }
  await applyChanges(client, tenant, [{ version: next, to: 'active' }], why);
  await insertJob(client, tenant, 'rewrap', origin, now);
}
