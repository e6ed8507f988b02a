/** What the ledger is told about the use of keys. */
import type { KeyOperation, KeyUse } from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import { type AuditEvent, type Clock, type ErrorCode, ERRORS, newUuid } from '../core/index.ts';
import type { Caller } from './grants.ts';

/** Most keys named in one event; larger batches become several. */
const MAX_KEYS_PER_EVENT = 500;

/** One key of a call: its id, and what it is for, as far as known. */
export interface TouchedKey {
  readonly id?: KeyId | undefined;
  readonly kind?: string | undefined;
  readonly scope?: string | undefined;
  /** Ids of the acceptances of a risk that it is given under. */
  readonly acceptances?: readonly string[] | undefined;
}

/** Making a key is an act of its own beside those that can be asked for. */
type RecordedOperation = KeyOperation | 'create';

export interface KeyAccess {
  readonly caller: Caller;
  readonly operation: RecordedOperation;
  readonly use: KeyUse;
  readonly keys: readonly TouchedKey[];
}

/** A code that means "not for you" is a denial; any other is a failure of something permitted. */
const DENIALS: readonly ErrorCode[] = [
  'KEYS_FORBIDDEN',
  'KEYS_USE_REFUSED',
  'KEYS_RATE_LIMITED',
  'KEYS_UNAUTHENTICATED',
];

type Outcome = Pick<AuditEvent, 'class' | 'decision'> & Partial<Pick<AuditEvent, 'code' | 'status'>>;

const PERMIT: Outcome = { class: 'key.access', decision: 'permit' };

function refused(code: ErrorCode): Outcome {
  const denied = DENIALS.includes(code);
  return {
    class: denied ? 'denial' : 'failure',
    decision: denied ? 'deny' : 'permit',
    code,
    status: ERRORS[code].status,
  };
}

export interface AccessEvents {
  permitted(access: KeyAccess): AuditEvent[];
  refused(access: KeyAccess, code: ErrorCode): AuditEvent[];
  /** Somebody without a registered credential asked. */
  stranger(correlationId: string): AuditEvent;
  /** The custodian made its first KEK, or opened one when it started. */
  kekOpened(id: KeyId, created: boolean): AuditEvent;
}

export function createAccessEvents(tenant: string, clock: Clock): AccessEvents {
  const base = () => ({ id: newUuid(), at: clock.now(), tenant });
  const ofAccess = (access: KeyAccess, outcome: Outcome): AuditEvent[] =>
    parts(access.keys).map((keys) => ({
      ...base(),
      ...outcome,
      ...describe(access),
      rule: ruleOf(access.caller, keys),
      ...named(keys),
      ...(access.operation === 'create' ? { resources: keys.map(resourceOf) } : {}),
    }));
  return {
    permitted: (access) => ofAccess(access, PERMIT),
    refused: (access, code) => ofAccess(access, refused(code)),
    stranger: (correlationId) => ({
      ...base(),
      ...refused('KEYS_UNAUTHENTICATED'),
      actor: { sub: '-' },
      interaction: 'keys.authenticate',
      rule: 'keys.credential',
      correlationId,
    }),
    kekOpened: (id, created) => ({
      ...base(),
      class: 'admin',
      decision: 'permit',
      actor: { sub: 'custodian' },
      interaction: created ? 'keys.kek.create' : 'keys.kek.open',
      rule: 'keys.start',
      purpose: 'SYSTEM',
      correlationId: newUuid(),
      keyIds: [id],
    }),
  };
}

const describe = ({ caller, operation, use }: KeyAccess) => ({
  actor: actorOf(caller, use),
  interaction: `keys.${operation}`,
  purpose: use.purpose,
  correlationId: use.correlationId,
});

/** The pseudonym of an actor is made of issuer and `sub`: with both, the entries of one person join across processes. */
function actorOf(caller: Caller, { actor, issuer }: KeyUse): AuditEvent['actor'] {
  if (actor === undefined) return { sub: caller, client: caller };
  return { sub: actor, client: caller, ...(issuer === undefined ? {} : { issuer }) };
}

function named(keys: readonly TouchedKey[]): Pick<AuditEvent, 'keyIds' | 'subjects'> {
  const keyIds = distinct(keys.map(({ id }) => id));
  const subjects = distinct(keys.map(({ kind, scope }) => (kind === 'subject' ? scope : undefined)));
  return { ...(keyIds.length > 0 ? { keyIds } : {}), ...(subjects.length > 0 ? { subjects } : {}) };
}

/** What a new key is for, in the form of a reference: `DataKey/index/family`, `DataKey/tenant`. */
const resourceOf = ({ kind, scope }: TouchedKey): string => ['DataKey', kind, scope].filter(Boolean).join('/');

const distinct = (values: readonly (string | undefined)[]): string[] =>
  [...new Set(values)].filter((value) => value !== undefined);

/** What decided: the grant of the process, or where a state forbids what is granted, whoever accepted the risk. */
function ruleOf(caller: Caller, keys: readonly TouchedKey[]): string {
  const acceptances = distinct(keys.flatMap((key) => key.acceptances ?? []));
  return acceptances.length > 0 ? `keys.risk.${acceptances.join('+')}` : `keys.grants.${caller}`;
}

/** Keys under different acceptances are recorded apart. */
function parts(keys: readonly TouchedKey[]): (readonly TouchedKey[])[] {
  const byRule = Map.groupBy(keys, ({ acceptances = [] }) => acceptances.join('+'));
  const groups = byRule.size > 1 ? [...byRule.values()] : [keys];
  return groups.flatMap(cut);
}

function cut(keys: readonly TouchedKey[]): TouchedKey[][] {
  const all: TouchedKey[][] = [];
  for (let from = 0; from < keys.length; from += MAX_KEYS_PER_EVENT)
    all.push(keys.slice(from, from + MAX_KEYS_PER_EVENT));
  return all;
}
