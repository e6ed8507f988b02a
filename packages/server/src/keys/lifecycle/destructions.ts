/** Destructions as the database keeps them, from the order to the certificate. */
import { query, type Queryable } from '../query.ts';
import type { DestructionCertificate, Signed, StatementSignature, Tombstone } from './certificate.ts';

/** The order was signed with this end of the wait; a recovery may have put it off, nothing may bring it forward. */
export interface OrderSignature extends StatementSignature {
  readonly dueAt: string;
}

export interface Destruction {
  readonly id: string;
  readonly target: string;
  readonly reason: string;
  readonly orderedBy: string;
  readonly orderedAt: Date;
  readonly dueAt: Date;
  readonly state: 'waiting' | 'cancelled' | 'done';
  readonly endedAt: Date | null;
  readonly attempts: number;
  /** Ids of the keys that the order suspended. */
  readonly suspended: readonly string[];
  readonly correlationId: string;
  readonly approvals: string | null;
  /** Of the order as it was made. */
  readonly signature: OrderSignature;
  readonly alarmedAt: Date | null;
  readonly tombstone: Signed<Tombstone> | null;
  readonly certificate: Signed<DestructionCertificate> | null;
}

interface DestructionRow extends Omit<Destruction, 'attempts' | 'suspended'> {
  readonly attempts: string;
  readonly suspended: readonly Buffer[];
}

const SELECT = `
  SELECT id, target, reason, ordered_by AS "orderedBy", ordered_at AS "orderedAt", due_at AS "dueAt", state,
    ended_at AS "endedAt", attempts, suspended, correlation_id AS "correlationId", approvals,
    signature, alarmed_at AS "alarmedAt", tombstone, certificate
  FROM destruction WHERE tenant = $1`;

/** In the order in which they were made. */
const IN_ORDER = 'ORDER BY ordered_at, id';

/** What can be asked for, each with its values. */
const WHERE = {
  all: '',
  byId: 'AND id = $2',
  waitingFor: "AND target = $2 AND state = 'waiting'",
  ofTarget: 'AND target = ANY ($2::text[])',
  due: "AND state = 'waiting' AND due_at <= $2",
  uncertified: "AND state = 'done' AND certificate IS NULL",
} as const;

export async function selectDestructions(
  on: Queryable,
  tenant: string,
  which: keyof typeof WHERE,
  values: readonly unknown[] = [],
  locking = false,
): Promise<Destruction[]> {
  const text = `${SELECT} ${WHERE[which]} ${IN_ORDER} ${locking ? 'FOR UPDATE' : ''}`;
  return (await query<DestructionRow>(on, text, [tenant, ...values])).map((row) => ({
    ...row,
    attempts: Number(row.attempts),
    suspended: row.suspended.map((id) => id.toString('hex')),
  }));
}
