/** Steps 8 and 12 of a write: the intent is durable before anything goes upstream, the outcome before the client hears of it. */
import { KeywardError } from '../../../core/index.ts';
import { auditEvent } from '../../audit.ts';
import { known } from '../../exchange.ts';
import type { ApiExchange } from '../exchange.ts';
import { namesOf, routeName } from '../names.ts';
import { nameSubjects } from '../subject-scopes.ts';

export async function recordApiIntent(exchange: ApiExchange): Promise<void> {
  await nameSubjects(exchange);
  const intent = auditEvent(exchange, 'write.intent', {
    resources: [routeName(exchange)],
    subjects: [...exchange.scopes.values()],
  });
  await exchange.gateway.audit.record([intent]);
}

export async function recordApiOutcome(exchange: ApiExchange): Promise<void> {
  const { status } = known(exchange.answer, 'answer');
  const outcome = auditEvent(exchange, 'write.outcome', {
    resources: namesOf(exchange),
    subjects: [...exchange.scopes.values()],
    status,
  });
  try {
    await exchange.gateway.audit.record([outcome]);
  } catch (cause) {
    // The upstream has it, so the caller must not be told that nothing happened.
    throw new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause });
  }
}
