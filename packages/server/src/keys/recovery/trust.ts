/** What follows from putting back an older state: counters are lower than they were, so nothing rests on them any more. */
import type { ClientBase } from 'pg';
import { newUuid } from '../../core/index.ts';
import { USES_TO_ROTATE } from '../usage.ts';

/** Kinds under which random nonces are drawn; the others are keys of HMACs and signatures. */
const SEALING_KINDS = ['subject', 'tenant', 'store', 'cursor', 'ledger'];
/** More data keys than anyone makes between two backups. */
const LOST_WRAPS = 2 ** 24;

/** Active keys count as used as far as keys are rotated for, so that rotation replaces them. */
export async function distrustCounters(client: ClientBase, tenant: string): Promise<void> {
  const seals = `
    UPDATE data_key SET uses = greatest(uses, $2) WHERE tenant = $1 AND state = 'active' AND kind = ANY ($3::text[])`;
  await client.query(seals, [tenant, USES_TO_ROTATE, SEALING_KINDS]);
  await client.query(`UPDATE kek SET uses = uses + $2 WHERE tenant = $1 AND state = 'active'`, [tenant, LOST_WRAPS]);
}

export interface Recovered {
  readonly what: 'restored' | 'rollback-accepted';
  readonly backup: string;
  readonly at: Date;
}

/** For the ledger, which the custodian tells at its next start. */
export async function noteRecovery(client: ClientBase, tenant: string, { what, backup, at }: Recovered): Promise<void> {
  const insert = 'INSERT INTO key_recovery (id, tenant, what, backup_id, at) VALUES ($1, $2, $3, $4, $5)';
  await client.query(insert, [newUuid(), tenant, what, backup, at]);
}

/** The generation must not be one that some custodian has seen already. */
export async function growBeyond(client: ClientBase, tenant: string, generation: bigint): Promise<void> {
  const update = 'UPDATE installation SET generation = greatest(generation, $2) + 1 WHERE tenant = $1';
  await client.query(update, [tenant, String(generation)]);
}
