/** Legal holds: what stands under one is not destroyed, whatever was ordered before. */
import { KeywardError, newUuid } from '../../core/index.ts';
import { parseKeyRef } from '../key-ref.ts';
import { nameOfPerson } from '../operators.ts';
import { query, type Queryable } from '../query.ts';
import type { Why } from './changes.ts';
import { carryOut, type MakePlan } from './effects.ts';
import type { LifeParts } from './parts.ts';
import { canonicalRef, type KeyVersion, lockVersions, namesOf, selectVersions } from './versions.ts';

export interface Hold {
  readonly id: string;
  readonly target: string;
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: Date;
}

export interface Holds {
  /**
   * @throws KeywardError `KEYS_HOLD_LAPSES` | `KEYS_UNKNOWN_KEY`, or `KEYS_TRANSITION_REFUSED` when all of it is destroyed already
   */
  hold(target: string, why: Why): Promise<{ readonly hold: string }>;
  /** @throws KeywardError `KEYS_UNKNOWN_RECORD` */
  release(hold: string, why: Why): Promise<{ readonly released: string }>;
  list(): Promise<Hold[]>;
}

const HOLDS = `
  SELECT id, target, reason, placed_by AS "placedBy", placed_at AS "placedAt"
  FROM legal_hold WHERE tenant = $1 AND released_at IS NULL`;

/** Holds over any of these versions, by any of their names. */
export const holdsOver = (on: Queryable, tenant: string, versions: readonly KeyVersion[]): Promise<Hold[]> =>
  query<Hold>(on, `${HOLDS} AND target = ANY ($2::text[]) ORDER BY placed_at`, [tenant, versions.flatMap(namesOf)]);

/** In a transaction that locked the versions: a hold that is being placed meanwhile waits for that lock. */
export async function requireNotHeld(on: Queryable, tenant: string, versions: readonly KeyVersion[]): Promise<void> {
  const [held] = await holdsOver(on, tenant, versions);
  if (held) throw new KeywardError('KEYS_HELD', { detail: `Hold ${held.id} on ${held.target}.` });
}

export function createHolds(parts: LifeParts): Holds {
  const { pool, tenant } = parts;
  return {
    hold: async (target, why) => carryOut(parts, planHold(parts, canonicalRef(target), why)),
    release: (hold, why) => carryOut(parts, planRelease(parts, hold, why)),
    list: () => query<Hold>(pool, `${HOLDS} ORDER BY placed_at, id`, [tenant]),
  };
}

const INSERT =
  'INSERT INTO legal_hold (id, tenant, target, reason, placed_by, placed_at) VALUES ($1, $2, $3, $4, $5, $6)';

function planHold({ tenant, clock, events }: LifeParts, target: string, why: Why): MakePlan<{ hold: string }> {
  const hold = newUuid();
  const ref = parseKeyRef(target);
  // A rewrap gives data keys another KEK: what was meant to be held would stand under it no more.
  if ('kek' in ref) throw new KeywardError('KEYS_HOLD_LAPSES');
  return async (on, locking) => {
    const versions = await (locking ? lockVersions : selectVersions)(on, tenant, ref);
    if (versions.length === 0) throw new KeywardError('KEYS_UNKNOWN_KEY');
    if (versions.every(({ state }) => state === 'destroyed'))
      throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'It is destroyed already.' });
    const keyIds = versions.map(({ id }) => id);
    return {
      basis: keyIds.join(),
      event: events.changing({ verb: 'hold', rule: 'keys.hold', resources: [target], keyIds }, why),
      async apply(client) {
        await client.query(INSERT, [hold, tenant, target, why.reason, nameOfPerson(why.by), clock.now()]);
        return { hold };
      },
    };
  };
}

const RELEASE = 'UPDATE legal_hold SET released_by = $3, released_at = $4 WHERE tenant = $1 AND id = $2';

function planRelease({ tenant, clock, events }: LifeParts, id: string, why: Why): MakePlan<{ released: string }> {
  return async (on, locking) => {
    const one = `${HOLDS} AND id = $2 ${locking ? 'FOR UPDATE' : ''}`;
    const [hold] = await query<Hold>(on, one, [tenant, id]);
    if (!hold) throw new KeywardError('KEYS_UNKNOWN_RECORD');
    return {
      basis: hold.id,
      event: events.changing({ verb: 'release', rule: 'keys.hold', resources: [hold.target], keyIds: [] }, why),
      async apply(client) {
        await client.query(RELEASE, [tenant, id, nameOfPerson(why.by), clock.now()]);
        return { released: hold.target };
      },
    };
  };
}
