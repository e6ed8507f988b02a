/** Acceptances of a risk: under one, keys that are suspended or compromised still open what was sealed before. */
import type { KeyId } from '@keyward/sdk/seal';
import { KeywardError, newUuid } from '../../core/index.ts';
import type { StoredKey } from '../data-keys.ts';
import { parseKeyRef } from '../key-ref.ts';
import { permission, permits } from '../lifecycle.ts';
import { nameOfPerson } from '../operators.ts';
import { query, type Queryable } from '../query.ts';
import type { Why } from './changes.ts';
import { carryOut, type MakePlan } from './effects.ts';
import type { LifeParts } from './parts.ts';
import { canonicalRef, type KeyVersion, lockVersions, namesOf, selectVersions } from './versions.ts';

const DAY_MS = 86_400_000;

/** Longest a risk can be accepted for; then people look again. */
export const ACCEPTANCE_MAX_DAYS = 30;

export interface Acceptance {
  readonly id: string;
  readonly target: string;
  readonly reason: string;
  readonly acceptedBy: string;
  readonly acceptedAt: Date;
  readonly expiresAt: Date;
}

interface Accepted {
  readonly acceptance: string;
  readonly expiresAt: Date;
}

const INSERT = `
  INSERT INTO risk_acceptance (id, tenant, target, reason, accepted_by, accepted_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`;

/** @throws KeywardError `KEYS_UNKNOWN_KEY`, or `KEYS_TRANSITION_REFUSED` when no version is in a state that needs it */
export const acceptRisk = (parts: LifeParts, target: string, days: number, why: Why): Promise<Accepted> =>
  carryOut(parts, planAcceptance(parts, canonicalRef(target), days, why));

function planAcceptance(parts: LifeParts, target: string, days: number, why: Why): MakePlan<Accepted> {
  const { tenant, clock, events } = parts;
  const acceptance = newUuid();
  const ref = parseKeyRef(target);
  return async (on, locking) => {
    const versions = await (locking ? lockVersions : selectVersions)(on, tenant, ref);
    if (versions.length === 0) throw new KeywardError('KEYS_UNKNOWN_KEY');
    const needed = versions.some(({ state }) => permission(state, 'process') === 'policy');
    if (!needed)
      throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'No key of it is suspended or compromised.' });
    const keyIds = versions.map(({ id }) => id);
    return {
      basis: versions.map(({ id, state }) => `${id} ${state}`).join(),
      event: events.changing({ verb: 'accept-risk', rule: 'keys.risk', resources: [target], keyIds }, why),
      async apply(client) {
        const now = clock.now();
        const expiresAt = new Date(now.getTime() + days * DAY_MS);
        const values = [acceptance, tenant, target, why.reason, nameOfPerson(why.by), now, expiresAt];
        await client.query(INSERT, values);
        return { acceptance, expiresAt };
      },
    };
  };
}

const SELECT = `
  SELECT id, target, reason, accepted_by AS "acceptedBy", accepted_at AS "acceptedAt", expires_at AS "expiresAt"
  FROM risk_acceptance WHERE tenant = $1 AND target = ANY ($2::text[]) AND expires_at > $3 ORDER BY accepted_at`;

export const acceptancesOver = (
  on: Queryable,
  tenant: string,
  versions: readonly KeyVersion[],
  now: Date,
): Promise<Acceptance[]> => query<Acceptance>(on, SELECT, [tenant, versions.flatMap(namesOf), now]);

/**
 * Who accepted that a key is suspended did not accept that it is compromised: an acceptance from before the present state
 * counts no more. A state that came about without a transition is covered by none.
 */
const newest = (targets: string, transitions: string) => `
  (SELECT a.id FROM risk_acceptance a WHERE a.tenant = $1 AND a.target IN (${targets}) AND a.expires_at > $5
    AND a.accepted_at >= (SELECT max(t.at) FROM key_transition t WHERE t.tenant = $1 AND ${transitions})
  ORDER BY a.accepted_at DESC, a.id LIMIT 1)`;

const COVERED = `
  SELECT w.id,
    ${newest("'key/' || encode(w.id, 'hex'), w.spec", 't.key_id = w.id')} AS of_key,
    ${newest("'kek/' || w.kek", 't.kek_version = w.kek')} AS of_kek
  FROM unnest($2::bytea[], $3::text[], $4::integer[]) AS w (id, spec, kek)`;

interface CoveredRow {
  readonly id: Buffer;
  readonly of_key: string | null;
  readonly of_kek: string | null;
}

/** Of keys that are not permitted by their states alone: the acceptances that permit them. */
export async function acceptedRisks(
  on: Queryable,
  tenant: string,
  keys: readonly StoredKey[],
  now: Date,
): Promise<ReadonlyMap<KeyId, readonly string[]>> {
  const ids = keys.map(({ id }) => Buffer.from(id, 'hex'));
  const specs = keys.map(({ kind, scope }) => (scope === '' ? kind : `${kind}/${scope}`));
  const keks = keys.map(({ kekVersion }) => kekVersion);
  const rows = await query<CoveredRow>(on, COVERED, [tenant, ids, specs, keks, now]);
  const covers = new Map(rows.map((row) => [row.id.toString('hex'), row]));
  return new Map(keys.flatMap((key) => coverOf(key, covers.get(key.id))));
}

/** A suspended key under a compromised KEK needs both accepted, each by its own name. */
function coverOf(key: StoredKey, row: CoveredRow | undefined): [KeyId, readonly string[]][] {
  const needed = [
    permits(key.state, 'process') ? undefined : (row?.of_key ?? null),
    permits(key.kekState, 'process') ? undefined : (row?.of_kek ?? null),
  ];
  if (needed.includes(null)) return [];
  return [[key.id, [...new Set(needed.filter((id) => typeof id === 'string'))]]];
}
