/** Steps 8 and 12 of a write: the intent is durable before anything goes upstream, the outcome before the client hears of it. */
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { TENANT_SCOPE } from '../seal-context.ts';
import { auditEvent } from '../audit.ts';
import type { Exchange } from '../exchange.ts';
import { createdByAnother, type WriteResult, writeResults } from '../results.ts';

const described = ({ type, id }: { type: string; id: string }) => (id === '' ? type : `${type}/${id}`);

export async function recordIntent(exchange: Exchange): Promise<void> {
  await exchange.gateway.audit.record([
    auditEvent(exchange, 'write.intent', { resources: exchange.operations.map(described) }),
  ]);
}

export async function recordOutcome(exchange: Exchange): Promise<void> {
  const results = unlessUnknown(() => writeResults(exchange));
  rememberSubjects(exchange);
  const resources = written(exchange, results).map(({ type, id, version }) =>
    version === '' ? `${type}/${id}` : `${type}/${id}/_history/${version}`,
  );
  const status = exchange.answer?.status ?? Number(results[0]?.status ?? 200);
  const outcome = auditEvent(exchange, 'write.outcome', { resources, subjects: [...exchange.subjects], status });
  try {
    await exchange.gateway.audit.record([outcome]);
  } catch (cause) {
    // The upstream has it, so the caller must not be told that nothing happened.
    throw new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause });
  }
  refuseOrphans(exchange, results);
}

/** What was there already was not written. */
const written = ({ operations }: Exchange, results: readonly WriteResult[]): WriteResult[] =>
  results.filter((result, index) => {
    const operation = operations[index];
    return operation && !operation.settled && !createdByAnother(operation, result);
  });

/**
 * Outside this process somebody created the same Patient at the same moment: what the transaction stored beside it refers to that
 * Patient, and is sealed under the key of one that does not exist. It can be read, but would outlive the destruction of the patient's key.
 */
function refuseOrphans({ operations }: Exchange, results: readonly WriteResult[]): void {
  const lost = new Set(
    operations
      .filter((operation, index) => {
        const result = results[index];
        return operation.type === 'Patient' && result !== undefined && createdByAnother(operation, result);
      })
      .map(({ scope }) => scope),
  );
  const orphans = operations.some(({ type, scope }) => type !== 'Patient' && scope !== undefined && lost.has(scope));
  if (orphans)
    throw new KeywardError('GATEWAY_OUTCOME_UNKNOWN', {
      detail:
        'Somebody else created a patient of this transaction at the same moment. Write again what refers to the patient.',
    });
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

/**
 * Of what is updated we know the id. That of a new Patient is the upstream's word, which would choose the key of what is written next: that
 * Patient proves its scope itself when it is needed.
 */
function rememberSubjects({ gateway, operations }: Exchange): void {
  for (const { type, id, interaction, scope, settled } of operations) {
    if (type !== 'Patient' || id === '' || settled) continue;
    if (interaction === 'delete') gateway.subjects.forget(id);
    else if (scope && scope !== TENANT_SCOPE) gateway.subjects.remember(id, scope);
  }
}
