/** The guard of the admin API: who calls, whether the role may, and the ledger's record of both before anything is answered. */
import type { FastifyRequest } from 'fastify';
import {
  asKeywardError,
  type AuditActor,
  type AuditEvent,
  type AuditSink,
  type Clock,
  KeywardError,
  newUuid,
} from '../core/index.ts';
import { callerAddress } from '../identity/index.ts';
import type { AdminServices, GuardedCall, GuardedRoute } from './routes.ts';

interface Caller {
  readonly sub: string;
  readonly role: string;
  /** Whether the token says that a second factor was used. */
  readonly mfa: boolean;
}

export interface GuardOptions {
  readonly tenant: string;
  readonly verify: (authorizationHeader: string | undefined, remoteAddress: string) => Promise<Caller>;
  readonly services: AdminServices;
  readonly audit: AuditSink;
  readonly clock: Clock;
}

/** Serves one request to a guarded route: known caller → permitted role → well-formed → recorded → answered. */
export async function serveGuarded(options: GuardOptions, route: GuardedRoute, request: FastifyRequest) {
  const record = (actor: AuditActor, what: Outcome) =>
    options.audit.record([event(options, route, request, actor, what)]);
  const stranger: AuditActor = { sub: '-', address: request.ip };

  const caller = await orRecord(
    () => options.verify(request.headers.authorization, callerAddress(request.headers, request.ip)),
    (error) => record(stranger, refused('denial', 'admin.caller', error)),
  );
  const actor: AuditActor = { sub: caller.sub, role: caller.role, address: request.ip };
  await orRecord(
    async () => requirePermitted(route, caller),
    (error) => record(actor, refused('denial', 'admin.role', error)),
  );
  return orRecord(
    async () => {
      const prepared = route.prepare(request.params, request.query, request.body);
      await record(actor, { class: 'admin', decision: 'permit', rule: 'admin.role', resources: prepared.resources });
      return await prepared.answer(options.services, callOf(options, request));
    },
    (error) => record(actor, refused('failure', 'admin.role', error)),
  );
}

const callOf = ({ clock }: GuardOptions, request: FastifyRequest): GuardedCall => ({
  authorization: request.headers.authorization,
  correlationId: request.id,
  at: clock.now(),
});

type Outcome = Pick<AuditEvent, 'class' | 'decision' | 'rule' | 'resources' | 'status' | 'code'>;

function refused(eventClass: 'denial' | 'failure', rule: string, error: KeywardError): Outcome {
  const decision = eventClass === 'denial' ? 'deny' : 'permit';
  return { class: eventClass, decision, rule, status: error.row.status, code: error.code };
}

/** A2: nobody operates Keyward with a password alone. */
function requirePermitted(route: GuardedRoute, caller: Caller): void {
  if (!caller.mfa) throw new KeywardError('IDENTITY_MFA_REQUIRED');
  if (!route.roles.includes(caller.role)) {
    throw new KeywardError('ACCESS_DENIED', { detail: `This needs the role ${route.roles.join(' or ')}.` });
  }
}

/** When the step fails, its failure is durable before anyone hears of it (L1). */
async function orRecord<T>(step: () => Promise<T>, record: (error: KeywardError) => Promise<void>): Promise<T> {
  try {
    return await step();
  } catch (thrown) {
    const error = asKeywardError(thrown);
    // A ledger that just refused one record is not asked for another within the same request.
    if (error.code !== 'LEDGER_UNAVAILABLE') await record(error);
    throw error;
  }
}

function event(
  { tenant, clock }: GuardOptions,
  route: GuardedRoute,
  request: FastifyRequest,
  actor: AuditActor,
  what: Outcome,
): AuditEvent {
  return { id: newUuid(), at: clock.now(), tenant, correlationId: request.id, actor, interaction: route.name, ...what };
}
