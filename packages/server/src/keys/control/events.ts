/** What the ledger is told about people who manage keys. */
import { type AuditEvent, type Clock, ERRORS, type ErrorCode, newUuid } from '../../core/index.ts';
import type { Person } from '../operators.ts';

/** One request of an operator, as far as it is known. */
export interface ControlFacts {
  /** e.g. `keys.rotate`, `keys.request.approve`. */
  readonly interaction: string;
  readonly correlationId: string;
  readonly by?: Person | undefined;
  readonly resources?: readonly string[] | undefined;
  readonly reason?: string | undefined;
}

export interface ControlEvents {
  /** Comes before what it names. @param rule which role or approvals permitted it */
  permitted(facts: ControlFacts, rule: string): AuditEvent;
  refused(facts: ControlFacts, code: ErrorCode): AuditEvent;
  /** A process that carries no operators' calls. */
  otherProcess(process: string, correlationId: string): AuditEvent;
  /** Gets roles from the configuration, since nobody had any. */
  firstOperator(person: Person & { readonly roles: readonly string[] }): AuditEvent;
}

/** Whoever was refused for what he is, and not for what the keys are like. */
const DENIALS: readonly ErrorCode[] = [
  'KEYS_ROLE_REFUSED',
  'KEYS_DUTIES_CONFLICT',
  'KEYS_APPROVAL_REFUSED',
  'KEYS_FORBIDDEN',
];
/** Somebody writes to the key database beside the custodian. */
const ALARMS: readonly ErrorCode[] = ['KEYS_REQUEST_ALTERED'];

const isDenial = (code: ErrorCode): boolean => DENIALS.includes(code) || code.startsWith('IDENTITY_');

export function createControlEvents(tenant: string, clock: Clock): ControlEvents {
  const base = ({ interaction, correlationId, by, resources = [], reason }: ControlFacts) => ({
    id: newUuid(),
    at: clock.now(),
    tenant,
    interaction,
    correlationId,
    // The admin process carries it here; nobody else may.
    actor: by === undefined ? { sub: '-', client: 'admin' } : { sub: by.sub, issuer: by.issuer, client: 'admin' },
    ...(resources.length > 0 ? { resources } : {}),
    ...(reason === undefined ? {} : { reason }),
  });
  const refused = (facts: ControlFacts, code: ErrorCode): AuditEvent => {
    const denied = isDenial(code);
    const outcome = ALARMS.includes(code)
      ? ({ class: 'key.alarm', decision: 'deny' } as const)
      : ({ class: denied ? 'denial' : 'failure', decision: denied ? 'deny' : 'permit' } as const);
    return { ...base(facts), ...outcome, rule: 'keys.control', code, status: ERRORS[code].status };
  };
  return {
    permitted: (facts, rule) => ({ ...base(facts), class: 'admin', decision: 'permit', rule }),
    refused,
    otherProcess: (process, correlationId) => ({
      ...refused({ interaction: 'keys.manage', correlationId }, 'KEYS_FORBIDDEN'),
      actor: { sub: process, client: process },
    }),
    firstOperator: ({ sub, roles }) => ({
      ...base({ interaction: 'keys.grant', correlationId: newUuid(), resources: [`Operator/${sub}`] }),
      actor: { sub: 'custodian' },
      reason: `first operators of the configuration: ${roles.join(', ')}`,
      class: 'admin',
      decision: 'permit',
      rule: 'keys.first-operators',
    }),
  };
}
