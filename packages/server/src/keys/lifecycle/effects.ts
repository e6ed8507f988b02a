/** How anything about a key's life takes effect: planned, recorded, planned again under locks, and done where both plans agree. */
import type { ClientBase, Pool } from 'pg';
import { type AuditEvent, type Clock, KeywardError } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import type { Queryable } from '../query.ts';
import type { Recorder } from '../recorder.ts';

export interface Plan<Result> {
  /** Equal texts mean: what is there to be changed is as it was when this was recorded. */
  readonly basis: string;
  readonly event: AuditEvent;
  apply(client: ClientBase): Promise<Result>;
}

/** Throws the coded error of whatever forbids it. Where `locking`, it locks the rows it stands on. */
export type MakePlan<Result> = (on: Queryable, locking: boolean) => Promise<Plan<Result>>;

export interface Effects {
  readonly pool: Pool;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly clock: Clock;
}

/** Others may change the same key again and again; somebody wins each round. */
const MAX_ROUNDS = 5;

/**
 * The ledger has it before it is done, and no lock is held while the ledger writes: it may need keys of its own for that. What
 * was recorded and then found changed is judged anew, so the ledger may over-report, and never under-reports.
 */
export async function carryOut<Result>({ pool, recorder }: Effects, makePlan: MakePlan<Result>): Promise<Result> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const planned = await makePlan(pool, false);
    await recorder.record([planned.event]);
    const outcome = await withTransaction(pool, async (client) => {
      const { basis } = await makePlan(client, true);
      return basis === planned.basis ? { result: await planned.apply(client) } : undefined;
    });
    if (outcome) return outcome.result;
  }
  throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'Others change this key at the same time; try again.' });
}
