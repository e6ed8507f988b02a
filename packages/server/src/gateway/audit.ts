/** Ledger events of a request: who, what, whose, why, decided by which rule; never what a record says. */
import { type AuditEvent, type EventClass, KeywardError, newUuid } from '../core/index.ts';
import type { Exchange, Finding, Gateway } from './exchange.ts';
import type { Decision } from './policy.ts';

/** What the ledger and the log want to know of a request, whatever API it is to. */
export interface Audited extends Pick<Exchange, 'gateway' | 'correlationId' | 'incoming' | 'principal' | 'targets'> {
  readonly route: { readonly name: string; readonly type: string; readonly id: string };
  readonly decision: Pick<Decision, 'rule'> | undefined;
  readonly operations: readonly { readonly decision: Pick<Decision, 'rule'> }[];
}

type Details = Partial<
  Pick<
    AuditEvent,
    'resources' | 'subjects' | 'classes' | 'keyIds' | 'status' | 'code' | 'decision' | 'rule' | 'interaction'
  >
>;

export function auditEvent(exchange: Audited, eventClass: EventClass, details: Details): AuditEvent {
  const { gateway, correlationId, principal, route, decision, operations } = exchange;
  return {
    id: newUuid(),
    at: gateway.clock.now(),
    class: eventClass,
    tenant: gateway.tenant,
    correlationId,
    actor: actorOf(exchange),
    interaction: route.name,
    decision: 'permit',
    rule: decision?.rule ?? operations[0]?.decision.rule ?? 'none',
    ...(principal?.purpose ? { purpose: principal.purpose } : {}),
    ...details,
  };
}

function actorOf({ principal, incoming }: Audited): AuditEvent['actor'] {
  const address = incoming.remoteAddress;
  if (!principal) return { sub: '-', address };
  const { sub, role, client, issuer } = principal;
  return { sub, role, issuer, address, ...(client ? { client } : {}) };
}

/** A request that ended in an error: refused (denial) or permitted and failed. */
export function errorEvent(exchange: Audited, error: KeywardError): AuditEvent {
  const { type, id } = exchange.route;
  const targets = type === '' ? exchange.targets : [id === '' ? type : `${type}/${id}`];
  const refused = isRefusal(error);
  return auditEvent(exchange, refused ? 'denial' : 'failure', {
    decision: refused ? 'deny' : 'permit',
    rule: refused ? error.code : (exchange.decision?.rule ?? 'none'),
    code: error.code,
    status: error.row.status,
    ...(targets.length === 0 ? {} : { resources: targets }),
  });
}

/** Bytes on a connection that were no HTTP request. */
export const unreadableEvent = ({ tenant, clock }: Gateway, address: string): AuditEvent => ({
  id: newUuid(),
  at: clock.now(),
  class: 'denial',
  tenant,
  correlationId: newUuid(),
  actor: { sub: '-', address },
  interaction: 'unreadable',
  decision: 'deny',
  rule: 'GATEWAY_HEADER_REFUSED',
  code: 'GATEWAY_HEADER_REFUSED',
});

/** Permitted requests that found nothing are failures, not denials; what the gateway does not support (501) it refuses. */
const isRefusal = ({ code, row }: KeywardError): boolean =>
  (row.status < 500 || row.status === 501) &&
  code !== 'FHIR_NOT_FOUND' &&
  code !== 'FHIR_GONE' &&
  code !== 'API_NOT_FOUND';

/** Whether the ledger itself just failed: it is not asked a second time within the request. */
export const isOfTheLedger = (error: unknown): boolean =>
  error instanceof KeywardError && (error.code === 'LEDGER_UNAVAILABLE' || isOfTheLedger(error.cause));

/** What is not the caller's fault goes to the log with its cause. */
export function logFailure({ gateway, correlationId }: Audited, error: KeywardError): void {
  if (error.row.status >= 500 && error.row.status !== 501)
    gateway.log.error('request failed', { correlationId, code: error.code, error });
}

export const referencesOf = (findings: readonly Pick<Finding, 'resource'>[]): string[] =>
  findings.map(({ resource }) => `${resource.resourceType}/${resource.id ?? ''}`);
