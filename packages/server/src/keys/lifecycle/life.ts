/** The life of the tenant's keys from activation to the certificate of their end: what operators and the schedule do to it. */
import type { Pool } from 'pg';
import type { Clock, Log } from '../../core/index.ts';
import type { DataKeys } from '../data-keys.ts';
import type { Recorder } from '../recorder.ts';
import type { Exceptions } from '../verdicts.ts';
import type { Why } from './changes.ts';
import { createLifeEvents } from './events.ts';
import { keepLedgerWriting } from './evidence-keys.ts';
import { createExceptions } from './exceptions.ts';
import { createExecutions, type EraseFromBackups, type Executions } from './executions.ts';
import { createHolds, type Holds } from './holds.ts';
import { createLists, type Lists } from './lists.ts';
import { type Cancelled, cancelDestruction, type Ordered, orderDestruction } from './orders.ts';
import type { LifeParts } from './parts.ts';
import { acceptRisk } from './risks.ts';
import { createSigningKeys, type SigningKeys } from './signing-keys.ts';
import { type Step, type Stepped, STEPS, takeStep } from './transition.ts';
import type { KeyVersion } from './versions.ts';

export interface KeyLifeOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly log: Log;
  readonly dataKeys: DataKeys;
  /** Between the order of a destruction and its end. */
  readonly waitingMs: number;
  /** Recovery's; without it there are no backups to reach. */
  readonly eraseFromBackups?: EraseFromBackups;
}

/** Roles, approvals and the steadiness of the clock are checked before any of this is called. */
export interface KeyLife extends Lists, Executions {
  step(step: Step, target: string, why: Why): Promise<Stepped>;
  order(target: string, why: Why & { readonly approvals?: string }): Promise<Ordered>;
  cancel(target: string, why: Why): Promise<Cancelled>;
  acceptRisk(
    target: string,
    days: number,
    why: Why,
  ): Promise<{ readonly acceptance: string; readonly expiresAt: Date }>;
  readonly holds: Holds;
  readonly signing: Pick<SigningKeys, 'published'>;
  /** For the desk. */
  readonly exceptions: Exceptions;
}

const NO_BACKUPS: EraseFromBackups = async () => ({ rewritten: [], notReached: [] });

export function createKeyLife(options: KeyLifeOptions): KeyLife {
  const { dataKeys, waitingMs, eraseFromBackups = NO_BACKUPS } = options;
  const parts: LifeParts = { ...options, events: createLifeEvents(options.tenant, options.clock) };
  const signing = createSigningKeys(parts, dataKeys);
  const before = async (step: Step, versions: readonly KeyVersion[], why: Why): Promise<void> => {
    const stops =
      STEPS[step].to !== 'active' && versions.some(({ kind, state }) => kind === 'kek' && state === 'active');
    if (stops) await keepLedgerWriting(parts, dataKeys, why);
  };
  return {
    ...createLists(parts),
    ...createExecutions(parts, signing, eraseFromBackups),
    step: (step, target, why) => takeStep(parts, { step, target, why }, (versions) => before(step, versions, why)),
    order: (target, why) => orderDestruction(parts, signing, { target, waitingMs, why }),
    cancel: (target, why) => cancelDestruction(parts, target, why),
    acceptRisk: (target, days, why) => acceptRisk(parts, target, days, why),
    holds: createHolds(parts),
    signing,
    exceptions: createExceptions(parts),
  };
}
