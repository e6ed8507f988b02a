/** Tells the ledger what was done to the key database while no custodian ran. */
import type { Pool } from 'pg';
import { type AuditEvent, type Clock, newUuid } from '../../core/index.ts';
import { query } from '../query.ts';
import type { Recorder } from '../recorder.ts';

interface RecoveryRow {
  readonly id: string;
  readonly what: string;
  readonly backup_id: string;
  readonly at: Date;
  readonly targets: readonly string[];
}

const SELECT =
  'SELECT id, what, backup_id, at, targets FROM key_recovery WHERE tenant = $1 AND NOT recorded ORDER BY at';

/** The entry first, then the mark that it is there: killed in between, the same entry is written again and counts once. */
export async function recordRecoveries(pool: Pool, tenant: string, recorder: Pick<Recorder, 'record'>): Promise<void> {
  for (const { id, what, backup_id, at, targets } of await query<RecoveryRow>(pool, SELECT, [tenant])) {
    const told = { ...custodianEvent(tenant, at, `keys.${what}`), id, resources: [`backup/${backup_id}`, ...targets] };
    await recorder.record([targets.length === 0 ? told : { ...told, class: 'key.alarm' }]);
    await query(pool, 'UPDATE key_recovery SET recorded = true WHERE id = $1', [id]);
  }
}

/** The database is older than what was seen. */
export const rolledBackEvent = (tenant: string, clock: Clock): AuditEvent => ({
  ...custodianEvent(tenant, clock.now(), 'keys.rolled-back'),
  class: 'key.alarm',
  decision: 'deny',
  code: 'KEYS_ROLLED_BACK',
});

const custodianEvent = (tenant: string, at: Date, interaction: string): AuditEvent => ({
  id: newUuid(),
  at,
  class: 'admin',
  tenant,
  correlationId: newUuid(),
  actor: { sub: 'custodian' },
  interaction,
  decision: 'permit',
  rule: 'keys.recovery',
  purpose: 'SYSTEM',
});
