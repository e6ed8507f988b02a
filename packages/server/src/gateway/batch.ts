/** A batch is as many requests as it has entries: each goes through the pipeline by itself and answers for itself. */
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError, toOperationOutcome } from '../core/index.ts';
import { errorEvent, isOfTheLedger, logFailure } from './audit.ts';
import { type Exchange, type Incoming, newExchange } from './exchange.ts';
import { bundleEntries } from './operations.ts';
import { FHIR_PREFIX, relativeUrl } from './routes.ts';

const FHIR_ROOT = `${FHIR_PREFIX}/`;

export const isBatch = ({ body }: Exchange): boolean => (body as { type?: Json } | null | undefined)?.type === 'batch';

/** @param runEntry runs one exchange through the whole pipeline */
export async function replyBatch(exchange: Exchange, runEntry: (entry: Exchange) => Promise<void>): Promise<void> {
  const entries = bundleEntries(exchange.body, 'batch');
  const answers: Json[] = [];
  for (const entry of entries) answers.push(await answerEntry(exchange, entry, runEntry));
  exchange.reply = {
    status: 200,
    headers: {},
    body: { resourceType: 'Bundle', type: 'batch-response', entry: answers },
  };
}

async function answerEntry(
  exchange: Exchange,
  entry: Json,
  runEntry: (entry: Exchange) => Promise<void>,
): Promise<Json> {
  const child = childExchange(exchange, entry);
  try {
    await runEntry(child);
    const { status, headers, body } = child.reply as NonNullable<Exchange['reply']>;
    const { location, etag } = headers;
    return {
      ...(body === undefined ? {} : { resource: body }),
      response: { status: String(status), ...(location ? { location } : {}), ...(etag ? { etag } : {}) },
    };
  } catch (thrown) {
    const error = asKeywardError(thrown);
    if (error.code === 'LEDGER_UNAVAILABLE') throw error;
    if (!isOfTheLedger(error)) await exchange.gateway.audit.record([errorEvent(child, error)]);
    logFailure(child, error);
    return {
      response: {
        status: String(error.row.status),
        outcome: toOperationOutcome(error, exchange.correlationId) as Json,
      },
    };
  }
}

function childExchange(exchange: Exchange, entry: Json): Exchange {
  const { request, resource } = (entry ?? {}) as { request?: { [name: string]: Json }; resource?: Json };
  const text = (name: string) => (typeof request?.[name] === 'string' ? request[name] : undefined);
  const headers: Record<string, string> = {};
  for (const [member, header] of [
    ['ifMatch', 'if-match'],
    ['ifNoneExist', 'if-none-exist'],
    ['ifNoneMatch', 'if-none-match'],
    ['ifModifiedSince', 'if-modified-since'],
  ] as const) {
    const value = text(member);
    if (value !== undefined) headers[header] = value;
  }
  const incoming: Incoming = {
    method: text('method') ?? '',
    target: `${FHIR_ROOT}${relativeUrl(text('url') ?? '', exchange.gateway.publicBase)}`,
    headers,
    rawHeaders: Object.entries(headers).flat(),
    remoteAddress: exchange.incoming.remoteAddress,
    readBody: () =>
      Promise.reject(new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'Searches in a batch have no body.' })),
  };
  const child = newExchange(exchange.gateway, incoming, exchange);
  // `null` stands for "no resource", so that a create without one is refused instead of reading a body.
  child.body = resource ?? null;
  return child;
}
