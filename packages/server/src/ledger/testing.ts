/** What the tests of this room share: a real ledger database with its users, a ledger on it, and an event like any other. */
import type { KeyService } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { startTestPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { type AuditEvent, createLog, newUuid, systemClock } from '../core/index.ts';
import { connectionFor, type DatabaseUser, migrate, openPool } from '../db/index.ts';
import { createLedger, type Ledger, type LedgerInputs } from './ledger.ts';
import { LEDGER_MIGRATIONS } from './migrations.ts';

export const SILENT = createLog('test', { write: () => undefined });

export interface LedgerDatabase {
  readonly postgres: TestPostgres;
  /** Nobody who serves requests; one connection. */
  readonly owner: Pool;
  readonly writer: Pool;
  readonly reader: Pool;
  stop(): Promise<void>;
}

export async function startLedgerDatabase(): Promise<LedgerDatabase> {
  const postgres = await startTestPostgres();
  const owner = openPool(postgres.connection('keyward_ledger'), { max: 1, applicationName: 'owner' });
  await migrate(owner, 'ledger', LEDGER_MIGRATIONS);
  const poolOf = (user: DatabaseUser): Pool =>
    openPool(connectionFor(postgres.paths, user), { max: 2, applicationName: user });
  const [writer, reader] = [poolOf('ledger-writer'), poolOf('ledger-reader')];
  return {
    postgres,
    owner,
    writer,
    reader,
    async stop() {
      await Promise.all([owner, writer, reader].map((pool) => pool.end()));
      await postgres.stop();
    },
  };
}

export const ledgerOn = (pool: Pool, keys: KeyService, change: Partial<LedgerInputs> = {}): Ledger =>
  createLedger({
    pool,
    keys,
    tenant: 'clinic',
    clock: systemClock,
    log: SILENT,
    deadlineMs: 2000,
    maxBatch: 500,
    ...change,
  });

export const eventOf = (change: Partial<AuditEvent> = {}): AuditEvent => ({
  id: newUuid(),
  at: new Date('2026-03-04T05:06:07.089Z'),
  class: 'disclosure',
  tenant: 'clinic',
  correlationId: newUuid(),
  actor: { sub: 'canary-actor', role: 'clinician', client: 'ehr', issuer: 'https://idp.example', address: '192.0.2.1' },
  interaction: 'read',
  resources: ['Patient/canary-resource'],
  subjects: [newUuid()],
  purpose: 'TREAT',
  decision: 'permit',
  rule: 'clinician-reads',
  classes: ['name'],
  keyIds: ['ab'.repeat(16)],
  status: 200,
  ...change,
});
