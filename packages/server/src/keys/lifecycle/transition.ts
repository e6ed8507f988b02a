/** One step of a key's life that an operator takes: activate, suspend, resume, deactivate, compromise. */
import { type ClientBase, DatabaseError } from 'pg';
import { KeywardError } from '../../core/index.ts';
import { insertJob } from '../jobs/table.ts';
import { type KeyRef, parseKeyRef } from '../key-ref.ts';
import { type KeyState, leadsTo } from '../lifecycle.ts';
import { announceVersions, applyChanges, type Why } from './changes.ts';
import { carryOut, type MakePlan } from './effects.ts';
import { requireDispensable } from './evidence-keys.ts';
import type { LifeParts } from './parts.ts';
import { type KeyVersion, lockVersions, namedKeys, selectVersions } from './versions.ts';

// biome-ignore format: a table
export const STEPS = {
  activate:   { to: 'active',      of: ['pre-activation'] },
  suspend:    { to: 'suspended',   of: ['active'] },
  resume:     { to: 'active',      of: ['suspended'] },
  deactivate: { to: 'deactivated', of: ['active', 'suspended'] },
  compromise: { to: 'compromised', of: ['pre-activation', 'active', 'suspended', 'deactivated'] },
} as const satisfies Record<string, { readonly to: KeyState; readonly of: readonly KeyState[] }>;

export type Step = keyof typeof STEPS;

export interface Stepped {
  /** References of the versions that changed. */
  readonly changed: readonly string[];
  readonly state: KeyState;
  /** The rotation that a compromise of the active KEK orders by itself. */
  readonly job?: string;
  /** What the operator does next. */
  readonly hint?: string;
}

/**
 * @param before called once, before anything is recorded, with what is about to change
 * @throws KeywardError `KEYS_REF_INVALID` | `KEYS_UNKNOWN_KEY` | `KEYS_TRANSITION_REFUSED` | `KEYS_LEDGER_NEEDS`
 */
export async function takeStep(
  parts: LifeParts,
  order: { readonly step: Step; readonly target: string; readonly why: Why },
  before: (versions: readonly KeyVersion[]) => Promise<void>,
): Promise<Stepped> {
  const ref = parseKeyRef(order.target);
  const there = await selectVersions(parts.pool, parts.tenant, ref);
  if (order.step === 'compromise' && there.length > 0 && there.every(({ state }) => state === 'destroyed'))
    return carryOut(parts, planAfterwards(parts, there, order));
  await before(chosen(there, ref, order.step));
  try {
    return await carryOut(parts, planStep(parts, ref, order));
  } catch (error) {
    // Another version became active between the check and the change.
    if (error instanceof DatabaseError && error.code === UNIQUE_VIOLATION) throw refusal('Another version is active.');
    throw error;
  }
}

const UNIQUE_VIOLATION = '23505';

function planStep(
  { tenant, clock, events }: LifeParts,
  ref: KeyRef,
  { step, target, why }: { readonly step: Step; readonly target: string; readonly why: Why },
): MakePlan<Stepped> {
  const { to } = STEPS[step];
  return async (on, locking) => {
    const versions = chosen(await (locking ? lockVersions : selectVersions)(on, tenant, ref), ref, step);
    for (const version of versions) requireStep(version, step, clock.now());
    const rule = `keys.lifecycle.${[...new Set(versions.map(({ state }) => state))].join('+')}.${to}`;
    return {
      basis: versions.map(({ id, state, destruction }) => `${id} ${state} ${destruction}`).join(),
      event: events.changing({ verb: step, rule, resources: [target], ...namedKeys(versions) }, why),
      async apply(client) {
        const at = clock.now();
        const changes = versions.map((version) => ({ version, to }));
        await applyChanges(client, tenant, changes, { ...why, at });
        await announceVersions(client, tenant, at, versions);
        const changed = { changed: versions.map((version) => version.ref), state: to };
        return to === 'compromised' ? { ...changed, ...(await afterKek(client, tenant, versions, why, at)) } : changed;
      },
    };
  };
}

/** In the same transaction as the mark: no custodian that ends in between leaves the tenant without a KEK that protects. */
async function afterKek(
  client: ClientBase,
  tenant: string,
  versions: readonly KeyVersion[],
  why: Why,
  at: Date,
): Promise<Pick<Stepped, 'job' | 'hint'>> {
  const kek = versions.find(({ kind }) => kind === 'kek');
  if (kek === undefined || kek.state === 'pre-activation') return {};
  const hint = hintAbout(kek.ref);
  if (kek.state !== 'active' && kek.state !== 'suspended') return { hint };
  // One that runs already makes the successor as well.
  const job = await insertJob(client, tenant, 'rotate-kek', why, at);
  return { ...(job === undefined ? {} : { job }), hint };
}

const hintAbout = (ref: string): string =>
  `Data keys that were under ${ref} are exposed: "keyward keys stale" counts them. Those that still are neither protect nor open ` +
  `before "keyward keys accept-risk ${ref}" (takes approvals) and "keyward keys rewrap". Rotate them, then "keyward seal backfill --rekey".`;

/** The metadata of a destroyed key stays, and with it what became known later (SP 800-57 part 1, section 7.6). */
function planAfterwards(
  { tenant, events }: LifeParts,
  versions: readonly KeyVersion[],
  { target, why }: { readonly target: string; readonly why: Why },
): MakePlan<Stepped> {
  const ids = versions.map(({ id }) => Buffer.from(id, 'hex'));
  const facts = { verb: 'compromise', rule: 'keys.lifecycle.destroyed', resources: [target], ...namedKeys(versions) };
  return async () => ({
    basis: '',
    event: events.changing(facts, why),
    async apply(client) {
      for (const table of ['kek', 'data_key']) {
        const flag = `UPDATE ${table} SET compromised_later = true WHERE tenant = $1 AND id = ANY ($2::bytea[])`;
        await client.query(flag, [tenant, ids]);
      }
      return { changed: versions.map(({ ref }) => ref), state: 'destroyed' };
    },
  });
}

/** A spec means its active version, or whichever the step can be taken from; a compromise means all that are left. */
function chosen(versions: readonly KeyVersion[], ref: KeyRef, step: Step): KeyVersion[] {
  if (versions.length === 0) throw new KeywardError('KEYS_UNKNOWN_KEY');
  if (!('kind' in ref)) return [...versions];
  const from: readonly string[] = STEPS[step].of;
  const able = versions.filter(({ state }) => from.includes(state));
  if (able.length === 0) throw refusal(`No version of it is ${from.join(' or ')}.`);
  if (step === 'compromise') return able;
  return able.toSorted((one, other) => from.indexOf(one.state) - from.indexOf(other.state)).slice(0, 1);
}

function requireStep(version: KeyVersion, step: Step, now: Date): void {
  const { to, of } = STEPS[step];
  const { state, ref } = version;
  if (!leadsTo(state, to) || !(of as readonly string[]).includes(state))
    throw refusal(`${ref} is ${state}; ${step} leads from ${of.join(' or ')} to ${to}.`);
  if (version.destruction !== null && step !== 'compromise')
    throw refusal(`${ref} waits for its destruction; cancel that first.`);
  if (to === 'active' && version.rivalled) throw refusal('Another version is active.');
  requireDispensable(version, now);
}

const refusal = (detail: string): KeywardError => new KeywardError('KEYS_TRANSITION_REFUSED', { detail });
