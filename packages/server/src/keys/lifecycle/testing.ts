/** What tests of the life cycle share: a custodian whose clock stands still until it is moved, and an operator. */
import type { TestContext } from 'node:test';
import type { KeySpec } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { newUuid } from '../../core/index.ts';
import type { Custodian } from '../custodian.ts';
import { createDataKeys } from '../data-keys.ts';
import { createKeks, type Keks } from '../keks.ts';
import { localRoot } from '../roots/local/local.ts';
import {
  createMemoryLedger,
  DAY_MS,
  type MemoryLedger,
  startCustodian,
  type TestCustodian,
  testLog,
  TEST_USE,
} from '../testing.ts';
import type { Why } from './changes.ts';
import type { EraseFromBackups } from './executions.ts';
import { createKeyLife, type KeyLife } from './life.ts';

export interface MovableClock {
  now(): Date;
  /** Moves on by that much. */
  pass(ms: number): void;
}

export function movableClock(): MovableClock {
  let ms = Date.now();
  return { now: () => new Date(ms), pass: (more) => void (ms += more) };
}

export const WAITING_MS = 7 * DAY_MS;

export const WHY: Why = {
  by: { issuer: 'https://issuer.test', sub: 'operator' },
  reason: 'for a test',
  correlationId: newUuid(),
};

export interface TestLife {
  readonly custodian: Custodian;
  readonly restart: TestCustodian['restart'];
  readonly life: Custodian['life'];
  readonly clock: MovableClock;
  readonly ledger: MemoryLedger;
  readonly tenant: string;
  /** Id of the active key, made where there is none. */
  protect(spec: KeySpec): Promise<string>;
  process(id: string, spec: KeySpec): Promise<string>;
  /** The life of the same keys with other backups, and what it stands on. */
  alike(eraseFromBackups?: EraseFromBackups): Promise<{ readonly life: KeyLife; readonly keks: Keks }>;
}

export async function startLife(context: TestContext, pool: Pool): Promise<TestLife> {
  const clock = movableClock();
  const { tenant, restart, rootFile } = await startCustodian(context, pool);
  const ledger = createMemoryLedger();
  const custodian = await restart({ clock, waitingMs: WAITING_MS, audit: ledger });
  const useOf = (spec: KeySpec) => ({
    ...TEST_USE,
    tenant,
    subjects: spec.kind === 'subject' ? [spec.subject] : [],
  });
  return {
    custodian,
    restart,
    life: custodian.life,
    clock,
    ledger,
    tenant,
    protect: async (spec) => (await custodian.protect('gateway', [spec], useOf(spec)))[0]!.id,
    async alike(eraseFromBackups) {
      const keks = createKeks({ pool, root: await localRoot.open({ file: rootFile }), tenant, clock });
      const dataKeys = createDataKeys({ pool, tenant, keks, clock });
      const parts = { pool, tenant, clock, recorder: ledger, log: testLog(), dataKeys, waitingMs: WAITING_MS };
      return { keks, life: createKeyLife({ ...parts, ...(eraseFromBackups ? { eraseFromBackups } : {}) }) };
    },
    process: async (id, spec) => (await custodian.process('gateway', [id], useOf(spec)))[0]!.id,
  };
}
