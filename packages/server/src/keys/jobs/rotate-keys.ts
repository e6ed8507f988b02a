/** The rotation of data keys: a new version protects from now on, the one of before only opens what it sealed. */
import type { KeyId } from '@keyward/sdk/seal';
import type { Pool, PoolClient } from 'pg';
import { type Clock, type ErrorCode, KeywardError, newUuid } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import type { DataKeys, StoredKey } from '../data-keys.ts';
import type { Wanted } from '../grants.ts';
import type { Why } from '../lifecycle/changes.ts';
import type { LifeEvents } from '../lifecycle/events.ts';
import { announce } from '../news.ts';
import { nameOfPerson } from '../operators.ts';
import { query, type Queryable } from '../query.ts';
import type { Recorder } from '../recorder.ts';

export interface RotateKeysOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly dataKeys: Pick<DataKeys, 'draft'>;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: Pick<LifeEvents, 'changing'>;
}

export interface Rotated extends Wanted {
  /** Null where no version was active. */
  readonly from: KeyId | null;
  readonly to: KeyId;
}

export interface KeyRotation {
  /** On an operator's order. @throws KeywardError `KEYS_UNKNOWN_KEY` | `KEYS_REINDEX_NEEDED` | `KEYS_TRANSITION_REFUSED` | `KEYS_STATE_REFUSED` */
  order(spec: Wanted, why: Why): Promise<Rotated>;
  /** What is over its time or use: whatever of it is still active. What cannot be rotated is left as it is. */
  renew(keys: readonly (Wanted & { readonly id: KeyId })[], why: Why): Promise<Rotated[]>;
}

/** Others may change the same keys, or promote another KEK, again and again; somebody wins each round. */
const MAX_ROUNDS = 5;

/** Each names two keys, and one entry of the ledger at most 500. */
const MAX_ROTATIONS_PER_EVENT = 250;

/** Kinds that a rotation reaches; whatever else there is stands in indexes and headers, where it must stay what it is. */
const ROTATES: ReadonlySet<string> = new Set(['subject', 'tenant', 'store', 'cursor', 'ledger', 'signature']);

export function createKeyRotation(options: RotateKeysOptions): KeyRotation {
  return {
    async order(spec, why) {
      const [rotated] = await rotate(options, [spec], why, (versions) => requireRotatable(spec, versions));
      return rotated ?? refuse('KEYS_TRANSITION_REFUSED', 'It was rotated meanwhile.');
    },
    async renew(keys, why) {
      const ids = new Set(keys.map(({ id }) => id));
      const isDue = (versions: readonly Version[]) =>
        versions.some(({ id, state }) => state === 'active' && ids.has(id));
      const wanted = keys.map(({ kind, scope }) => ({ kind, scope }));
      return rotate(options, wanted, why, isDue);
    },
  };
}

interface Version extends Wanted {
  readonly id: KeyId;
  readonly state: string;
  readonly destruction: string | null;
}

interface VersionRow extends Omit<Version, 'id'> {
  readonly id: Buffer;
}

function requireRotatable({ kind }: Wanted, versions: readonly Version[]): true {
  if (!ROTATES.has(kind)) refuse('KEYS_REINDEX_NEEDED');
  if (versions.length === 0) refuse('KEYS_UNKNOWN_KEY');
  // Nothing is opened with it, so whatever became of those before, certificates get another.
  if (kind === 'signature') return true;
  const has = (state: string) => versions.some((version) => version.state === state);
  if (versions.some(({ destruction }) => destruction !== null))
    refuse('KEYS_STATE_REFUSED', 'It waits for its destruction.');
  // All that there was is gone for good, and nothing may take its place.
  if (versions.every(({ state }) => state === 'destroyed')) refuse('KEYS_STATE_REFUSED', 'It was destroyed.');
  if (has('suspended')) refuse('KEYS_TRANSITION_REFUSED', 'A version is suspended: resume or deactivate it first.');
  return true;
}

function refuse(code: ErrorCode, detail?: string): never {
  throw new KeywardError(code, { detail });
}

/** Whether a spec with these versions is to be rotated. */
type Judge = (versions: readonly Version[]) => boolean;

/** Recorded, then done in one transaction where everything still is as it was recorded; otherwise judged anew. */
async function rotate(
  options: RotateKeysOptions,
  specs: readonly Wanted[],
  why: Why,
  isWanted: Judge,
): Promise<Rotated[]> {
  const { pool, tenant, dataKeys } = options;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const bySpec = groupBySpec(await selectVersions(pool, tenant, specs, ''));
    const wanted = specs.filter((spec) => isWanted(bySpec.get(nameOf(spec)) ?? []));
    if (wanted.length === 0) return [];
    const drafts = await dataKeys.draft(wanted);
    const rotated = drafts.map(({ kind, scope, id: to }): Rotated => {
      const active = bySpec.get(nameOf({ kind, scope }))?.find(({ state }) => state === 'active');
      return { kind, scope, from: active?.id ?? null, to };
    });
    await record(options, rotated, why);
    const basis = basisOf(wanted.flatMap((spec) => bySpec.get(nameOf(spec)) ?? []));
    const replacing = withTransaction(pool, (client) => replace(client, options, { basis, rotated, drafts }, why));
    if (await replacing.then(() => true, isOvertaken)) return rotated;
  }
  throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'Others change this key at the same time; try again.' });
}

const nameOf = ({ kind, scope }: Wanted): string => `${kind} ${scope}`;
const basisOf = (versions: readonly Version[]): string =>
  versions
    .map(({ id, state, destruction }) => `${id} ${state} ${destruction ?? ''}`)
    .sort()
    .join('\n');

/** Locked in the order of their ids, as everybody does, so that two who lock the same keys never wait for each other. */
const SELECT = `
  SELECT d.id, d.kind, d.scope, d.state, d.destruction
  FROM data_key d JOIN unnest($2::text[], $3::text[]) AS wanted (kind, scope) ON wanted.kind = d.kind AND wanted.scope = d.scope
  WHERE d.tenant = $1 ORDER BY d.id`;

async function selectVersions(
  on: Queryable,
  tenant: string,
  specs: readonly Wanted[],
  lock: string,
): Promise<Version[]> {
  const columns = [specs.map(({ kind }) => kind), specs.map(({ scope }) => scope)];
  const rows = await query<VersionRow>(on, `${SELECT} ${lock}`, [tenant, ...columns]);
  return rows.map((row) => ({ ...row, id: row.id.toString('hex') }));
}

function groupBySpec(versions: readonly Version[]): ReadonlyMap<string, readonly Version[]> {
  return Map.groupBy(versions, nameOf);
}

async function record({ recorder, events }: RotateKeysOptions, all: readonly Rotated[], why: Why): Promise<void> {
  const parts: Rotated[][] = [];
  for (let from = 0; from < all.length; from += MAX_ROTATIONS_PER_EVENT)
    parts.push(all.slice(from, from + MAX_ROTATIONS_PER_EVENT));
  await recorder.record(
    parts.map((part) => {
      const resources = part.map(({ kind, scope }) => (scope === '' ? kind : `${kind}/${scope}`));
      const keyIds = part.flatMap(({ from, to }) => (from === null ? [to] : [from, to]));
      const subjects = part.flatMap(({ kind, scope }) => (kind === 'subject' ? [scope] : []));
      return events.changing({ verb: 'rotate', rule: 'keys.rotation', resources, keyIds, subjects }, why);
    }),
  );
}

const DEACTIVATE = `
  UPDATE data_key SET state = 'deactivated', deactivated_at = $3 WHERE tenant = $1 AND id = ANY ($2::bytea[])`;
const INSERT = `
  INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at, activated_at)
  SELECT draft.id, k.tenant, draft.kind, draft.scope, k.version, 'active', draft.wrapped, $2, $2
  FROM unnest($3::bytea[], $4::text[], $5::text[], $6::integer[], $7::bytea[])
    AS draft (id, kind, scope, kek_version, wrapped)
  JOIN kek k ON k.tenant = $1 AND k.version = draft.kek_version AND k.state = 'active'
  FOR SHARE OF k`;
const TRANSITIONS = `
  INSERT INTO key_transition (id, tenant, key_id, from_state, to_state, at, actor, reason, correlation_id)
  SELECT change.id, $1, change.key_id, change.from_state, change.to_state, $2, $3, $4, $5
  FROM unnest($6::uuid[], $7::bytea[], $8::text[], $9::text[]) AS change (id, key_id, from_state, to_state)`;

interface Replacement {
  readonly basis: string;
  readonly rotated: readonly Rotated[];
  readonly drafts: readonly StoredKey[];
}

/** @throws Overtaken where something has changed since it was recorded; nothing is done then. */
async function replace(
  client: PoolClient,
  { tenant, clock }: RotateKeysOptions,
  { basis, rotated, drafts }: Replacement,
  { by, reason, correlationId }: Why,
): Promise<void> {
  if (basisOf(await selectVersions(client, tenant, rotated, 'FOR UPDATE OF d')) !== basis) throw new Overtaken();
  const now = clock.now();
  const column = <Name extends keyof StoredKey>(name: Name) => drafts.map((draft) => draft[name]);
  const columns = [drafts.map(({ id }) => bytes(id)), column('kind'), column('scope'), column('kekVersion')];
  const before = rotated.flatMap(({ from }) => (from === null ? [] : [bytes(from)]));
  await client.query(DEACTIVATE, [tenant, before, now]);
  const inserted = await client.query(INSERT, [tenant, now, ...columns, column('wrapped')]);
  // Another KEK was promoted, and the drafts are under the one of before.
  if (inserted.rowCount !== drafts.length) throw new Overtaken();
  const changes = [
    ...before.map((id) => ({ id, from: 'active', to: 'deactivated' })),
    ...drafts.map(({ id }) => ({ id: bytes(id), from: null, to: 'active' })),
  ];
  await client.query(TRANSITIONS, [
    tenant,
    now,
    nameOfPerson(by),
    reason,
    correlationId,
    changes.map(() => newUuid()),
    changes.map(({ id }) => id),
    changes.map(({ from }) => from),
    changes.map(({ to }) => to),
  ]);
  await announce(client, tenant, now, { ids: [], specs: rotated.map(({ kind, scope }) => ({ kind, scope })) });
}

class Overtaken extends Error {}

function isOvertaken(error: unknown): false {
  if (error instanceof Overtaken) return false;
  throw error;
}

const bytes = (id: KeyId): Buffer => Buffer.from(id, 'hex');
