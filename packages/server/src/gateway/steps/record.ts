/** Steps 8 and 12 of a write: the intent is durable before anything goes upstream, the outcome before the client hears of it. */
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { TENANT_SCOPE } from '../seal-context.ts';
import { auditEvent } from '../audit.ts';
import { type Exchange, known } from '../exchange.ts';
import { writeResults } from '../results.ts';

const described = ({ type, id }: { type: string; id: string }) => (id === '' ? type : `${type}/${id}`);

export async function recordIntent(exchange: Exchange): Promise<void> {
  await exchange.gateway.audit.record([
    auditEvent(exchange, 'write.intent', { resources: exchange.operations.map(described) }),
  ]);
}

export async function recordOutcome(exchange: Exchange): Promise<void> {
  const results = unlessUnknown(() => writeResults(exchange));
  rememberSubjects(exchange, results);
  const resources = results.map(({ type, id, version }) =>
    version === '' ? `${type}/${id}` : `${type}/${id}/_history/${version}`,
  );
  const { status } = known(exchange.answer, 'answer');
  const outcome = auditEvent(exchange, 'write.outcome', { resources, subjects: [...exchange.subjects], status });
  try {
    await exchange.gateway.audit.record([outcome]);
  } catch (cause) {
    // The upstream has it, so the caller must not be told that nothing happened.
    throw new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause });
  }
}

/** An answer that cannot be read leaves open what became of the write. */
function unlessUnknown<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw asKeywardError(cause).code === 'GATEWAY_UPSTREAM_INVALID'
      ? new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause })
      : cause;
  }
}

function rememberSubjects({ gateway, operations }: Exchange, results: ReturnType<typeof writeResults>): void {
  for (const [index, { type, interaction, scope }] of operations.entries()) {
    const id = results[index]?.id;
    if (type !== 'Patient' || !id) continue;
    if (interaction === 'delete') gateway.subjects.forget(id);
    else if (scope && scope !== TENANT_SCOPE) gateway.subjects.remember(id, scope);
  }
}
