/** Orders of destruction: what is named stops at once, waits, and can be had back until the wait is over. */
import { KeywardError } from '../../core/index.ts';
import { type KeyRef, parseKeyRef } from '../key-ref.ts';
import { nameOfPerson } from '../operators.ts';
import { query, type Queryable } from '../query.ts';
import { announceVersions, applyChanges, type Why } from './changes.ts';
import { selectDestructions } from './destructions.ts';
import { carryOut, type MakePlan } from './effects.ts';
import { requireNoEvidence, requireReplaced } from './evidence-keys.ts';
import { requireNotHeld } from './holds.ts';
import { signOrder } from './order-signatures.ts';
import type { LifeParts } from './parts.ts';
import type { SigningKeys } from './signing-keys.ts';
import { canonicalRef, type KeyVersion, lockVersions, namedKeys, selectVersions } from './versions.ts';

export interface Ordered {
  readonly destruction: string;
  readonly target: string;
  readonly dueAt: Date;
  /** References of the keys that stopped. */
  readonly keys: readonly string[];
}

interface Order {
  readonly target: string;
  readonly waitingMs: number;
  readonly why: Why & { readonly approvals?: string };
}

/**
 * @throws KeywardError `KEYS_REF_INVALID` | `KEYS_UNKNOWN_KEY` | `KEYS_TRANSITION_REFUSED` | `KEYS_HELD` | `KEYS_IN_USE` |
 * `KEYS_LEDGER_NEEDS`
 */
export async function orderDestruction(
  parts: LifeParts,
  signing: Pick<SigningKeys, 'signer'>,
  order: Order,
): Promise<Ordered> {
  const target = canonicalRef(order.target);
  return (
    (await orderedBefore(parts, target, order.why)) ?? carryOut(parts, planOrder(parts, signing, { ...order, target }))
  );
}

/** A request that was approved is carried out again when the custodian ended in the middle: its order stands already then. */
async function orderedBefore(
  { pool, tenant }: LifeParts,
  target: string,
  { correlationId }: Why,
): Promise<Ordered | undefined> {
  const [waiting] = await selectDestructions(pool, tenant, 'waitingFor', [target]);
  if (waiting?.correlationId !== correlationId) return undefined;
  const versions = await selectVersions(pool, tenant, parseTarget(target));
  const keys = versions.filter(({ destruction }) => destruction === waiting.id).map(({ ref }) => ref);
  return { destruction: waiting.id, target, dueAt: waiting.dueAt, keys };
}

/** A single version, or everything of one patient. */
export function parseTarget(target: string): KeyRef {
  const ref = parseKeyRef(target);
  if ('kind' in ref && ref.kind !== 'subject')
    throw new KeywardError('KEYS_REF_INVALID', { detail: 'Only kek/N, key/HEX and subject/UUID are destroyed.' });
  return ref;
}

/** What a destruction would end. Checked when it is ordered, and again when it is due. */
export async function doomedVersions(
  on: Queryable,
  tenant: string,
  target: string,
  locking: boolean,
): Promise<KeyVersion[]> {
  const versions = await (locking ? lockVersions : selectVersions)(on, tenant, parseTarget(target));
  if (versions.length === 0) throw new KeywardError('KEYS_UNKNOWN_KEY');
  const left = versions.filter(({ state }) => state !== 'destroyed');
  if (left.length === 0) throw refusal('It is destroyed already.');
  requireNoEvidence(left);
  requireReplaced(left);
  await requireNotHeld(on, tenant, left);
  for (const { kind, kekVersion } of left) if (kind === 'kek') await requireNothingUnder(on, tenant, kekVersion);
  return left;
}

const UNDER = "SELECT FROM data_key WHERE tenant = $1 AND kek_version = $2 AND state <> 'destroyed' LIMIT 1";

async function requireNothingUnder(on: Queryable, tenant: string, kekVersion: number): Promise<void> {
  if ((await query(on, UNDER, [tenant, kekVersion])).length > 0) throw new KeywardError('KEYS_IN_USE');
}

const LEAST_WAITING_MS = 7 * 86_400_000;

const REAL_ROOTS = `
  SELECT FROM kek WHERE tenant = $1 AND state <> 'destroyed' AND root <> 'local' AND root NOT LIKE 'local:%' LIMIT 1`;

/** The configuration was checked at the start, and a KEK may stand on another root than it names by now. */
async function requireRehearsal(on: Queryable, tenant: string): Promise<void> {
  if ((await query(on, REAL_ROOTS, [tenant])).length > 0)
    throw refusal('A KEK stands on a real root: remove keys.destruction.rehearsalSeconds.');
}

const INSERT = `
  INSERT INTO destruction
    (id, tenant, target, reason, ordered_by, ordered_at, due_at, state, suspended, correlation_id, approvals, signature)
  VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10, $11)`;

const MARK = 'SET destruction = $3 WHERE tenant = $1 AND id = ANY ($2::bytea[])';

/** Until it ends no state lets anybody use these. */
export async function markWaiting(
  on: Queryable,
  tenant: string,
  versions: readonly KeyVersion[],
  destruction: string | null,
): Promise<void> {
  const ids = versions.map(({ id }) => Buffer.from(id, 'hex'));
  for (const table of ['kek', 'data_key']) await query(on, `UPDATE ${table} ${MARK}`, [tenant, ids, destruction]);
}

/** Active keys are suspended and not deactivated: from there the life cycle has a way back, and an order can be cancelled. */
function planOrder(
  parts: LifeParts,
  signing: Pick<SigningKeys, 'signer'>,
  { target, waitingMs, why }: Order,
): MakePlan<Ordered> {
  const { tenant, clock, events } = parts;
  let asked: ReturnType<SigningKeys['signer']> | undefined;
  return async (on, locking) => {
    const versions = await doomedVersions(on, tenant, target, locking);
    if (versions.some(({ destruction }) => destruction !== null))
      throw refusal('It waits for its destruction already.');
    if (waitingMs < LEAST_WAITING_MS) await requireRehearsal(on, tenant);
    const facts = { verb: 'destroy.order', rule: 'keys.destruction', resources: [target], ...namedKeys(versions) };
    const event = events.changing(facts, why);
    // Asked for in the first round, before anything is locked.
    const signer = await (asked ??= signing.signer());
    return {
      basis: versions.map(({ id, state }) => `${id} ${state}`).join(),
      event,
      async apply(client) {
        const at = clock.now();
        const dueAt = new Date(at.getTime() + waitingMs);
        const suspended = versions.filter(({ state }) => state === 'active');
        // The order and its ledger entry have one id, so that the certificate can name the entry.
        const orderedBy = nameOfPerson(why.by);
        const { reason, correlationId, approvals = null } = why;
        const terms = { id: event.id, target, reason, orderedBy, orderedAt: at, dueAt, correlationId, approvals };
        const values = [event.id, tenant, target, reason, orderedBy, at, dueAt];
        const ids = suspended.map(({ id }) => Buffer.from(id, 'hex'));
        const signature = JSON.stringify(signOrder(tenant, terms, signer));
        await client.query(INSERT, [...values, ids, correlationId, approvals, signature]);
        const changes = suspended.map((version) => ({ version, to: 'suspended' }) as const);
        await applyChanges(client, tenant, changes, { ...why, at });
        await markWaiting(client, tenant, versions, event.id);
        await announceVersions(client, tenant, at, versions);
        return { destruction: event.id, target, dueAt, keys: versions.map(({ ref }) => ref) };
      },
    };
  };
}

export interface Cancelled {
  readonly destruction: string;
  /** References of the keys that are active again. */
  readonly resumed: readonly string[];
}

/** @throws KeywardError `KEYS_REQUEST_ENDED` when nothing waits for this target */
export const cancelDestruction = (parts: LifeParts, target: string, why: Why): Promise<Cancelled> =>
  carryOut(parts, planCancel(parts, canonicalRef(target), why));

function planCancel(parts: LifeParts, target: string, why: Why): MakePlan<Cancelled> {
  const { tenant, clock, events } = parts;
  return async (on, locking) => {
    const [order] = await selectDestructions(on, tenant, 'waitingFor', [target], locking);
    if (!order) throw new KeywardError('KEYS_REQUEST_ENDED', { detail: 'Nothing waits for this destruction.' });
    const all = await (locking ? lockVersions : selectVersions)(on, tenant, parseTarget(target));
    const versions = all.filter(({ destruction }) => destruction === order.id);
    const resumed = versions.filter(
      ({ id, state, rivalled }) => state === 'suspended' && !rivalled && order.suspended.includes(id),
    );
    const facts = { verb: 'destroy.cancel', rule: 'keys.destruction', resources: [target], ...namedKeys(versions) };
    return {
      basis: [order.id, ...versions.map(({ id, state, rivalled }) => `${id} ${state} ${rivalled}`)].join(),
      event: events.changing(facts, why),
      async apply(client) {
        const at = clock.now();
        const end = "UPDATE destruction SET state = 'cancelled', ended_at = $3 WHERE tenant = $1 AND id = $2";
        await client.query(end, [tenant, order.id, at]);
        await markWaiting(client, tenant, versions, null);
        const changes = resumed.map((version) => ({ version, to: 'active' }) as const);
        await applyChanges(client, tenant, changes, { ...why, at });
        await announceVersions(client, tenant, at, versions);
        return { destruction: order.id, resumed: resumed.map(({ ref }) => ref) };
      },
    };
  };
}

const refusal = (detail: string): KeywardError => new KeywardError('KEYS_TRANSITION_REFUSED', { detail });
