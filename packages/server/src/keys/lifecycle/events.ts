/** What the ledger is told about the life of keys: changes before they happen, and alarms. */
import { type AuditActor, type AuditEvent, type Clock, type ErrorCode, ERRORS, newUuid } from '../../core/index.ts';
import { CUSTODIAN_ITSELF } from '../operators.ts';
import type { Why } from './changes.ts';

/** Longest text of an operator that an entry keeps. */
export const REASON_MAX_CHARACTERS = 500;

interface LifeFacts {
  /** e.g. `suspend`; becomes `keys.suspend`. */
  readonly verb: string;
  /** What decided: the cell of the life-cycle table, or the check. */
  readonly rule: string;
  /** Key references. */
  readonly resources: readonly string[];
  readonly keyIds: readonly string[];
  readonly subjects?: readonly string[];
}

interface AlarmFacts {
  readonly code: ErrorCode;
  readonly correlationId: string;
  /** Who asked; by default the custodian itself, of what it could not do. */
  readonly actor?: AuditActor;
}

export interface LifeEvents {
  changing(facts: LifeFacts, why: Why): AuditEvent;
  /** Something nobody should have asked for, or that did not happen when it was due. */
  alarm(facts: LifeFacts, about: AlarmFacts): AuditEvent;
}

export function createLifeEvents(tenant: string, clock: Clock): LifeEvents {
  const describe = ({ verb, rule, resources, keyIds, subjects = [] }: LifeFacts) => ({
    id: newUuid(),
    at: clock.now(),
    tenant,
    interaction: `keys.${verb}`,
    rule,
    purpose: 'SYSTEM',
    resources,
    keyIds,
    ...(subjects.length > 0 ? { subjects } : {}),
  });
  return {
    changing: (facts, { by, reason, correlationId }) => ({
      ...describe(facts),
      class: 'key.lifecycle',
      decision: 'permit',
      actor: { sub: by.sub, issuer: by.issuer },
      reason: reason.slice(0, REASON_MAX_CHARACTERS),
      correlationId,
    }),
    alarm: (facts, { code, correlationId, actor = { sub: CUSTODIAN_ITSELF.sub } }) => ({
      ...describe(facts),
      class: 'key.alarm',
      decision: 'deny',
      actor,
      code,
      status: ERRORS[code].status,
      correlationId,
    }),
  };
}
