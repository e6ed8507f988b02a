/** Ledger events of a request: who, what, whose, why, decided by which rule; never what a record says. */
import { type AuditEvent, type EventClass, type KeywardError, newUuid } from '../core/index.ts';
import type { Exchange, Finding } from './exchange.ts';

type Details = Partial<
  Pick<AuditEvent, 'resources' | 'subjects' | 'classes' | 'keyIds' | 'status' | 'code' | 'decision' | 'rule'>
>;

export function auditEvent(exchange: Exchange, eventClass: EventClass, details: Details): AuditEvent {
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

function actorOf({ principal, incoming }: Exchange): AuditEvent['actor'] {
  const address = incoming.remoteAddress;
  if (!principal) return { sub: '-', address };
  const { sub, role, client, issuer } = principal;
  return { sub, role, issuer, address, ...(client ? { client } : {}) };
}

/** A request that ended in an error: refused (denial) or permitted and failed. */
export function errorEvent(exchange: Exchange, error: KeywardError): AuditEvent {
  const { type, id } = exchange.route;
  const refused = error.row.status < 500 && error.code !== 'FHIR_NOT_FOUND' && error.code !== 'FHIR_GONE';
  return auditEvent(exchange, refused ? 'denial' : 'failure', {
    decision: refused ? 'deny' : 'permit',
    rule: refused ? error.code : (exchange.decision?.rule ?? 'none'),
    code: error.code,
    status: error.row.status,
    ...(type === '' ? {} : { resources: [id === '' ? type : `${type}/${id}`] }),
  });
}

export const referencesOf = (findings: readonly Finding[]): string[] =>
  findings.map(({ resource }) => `${resource.resourceType}/${resource.id ?? ''}`);
