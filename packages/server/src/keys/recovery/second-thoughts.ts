/** Destructions that were ordered before the backup: what people decided since is lost, so each waits anew. */
import type { ClientBase } from 'pg';
import { newUuid } from '../../core/index.ts';
import type { Recovered } from './trust.ts';

export interface WaitingAnew {
  readonly target: string;
  readonly dueAt: Date;
}

const PUT_OFF = `
  UPDATE destruction SET due_at = greatest(due_at, $2) WHERE tenant = $1 AND state = 'waiting'
  RETURNING target, due_at AS "dueAt"`;

const NOTE = 'INSERT INTO key_recovery (id, tenant, what, backup_id, at, targets) VALUES ($1, $2, $3, $4, $5, $6)';

/** A cancellation or a hold from after the backup stands in the ledger only: people get the whole wait to repeat it. */
export async function putOffDestructions(
  client: ClientBase,
  tenant: string,
  { backup, at, waitingMs }: Omit<Recovered, 'what'> & { readonly waitingMs: number },
): Promise<readonly WaitingAnew[]> {
  const { rows } = await client.query<WaitingAnew>(PUT_OFF, [tenant, new Date(at.getTime() + waitingMs)]);
  const targets = rows.map(({ target }) => target);
  if (rows.length > 0) await client.query(NOTE, [newUuid(), tenant, 'destructions-put-off', backup, at, targets]);
  return rows;
}
