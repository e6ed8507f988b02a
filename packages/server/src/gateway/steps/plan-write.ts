/** Steps 5 and 7 of a write: what is to be written, checked and authorised; nothing has been sent yet. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { type Exchange, known, type WriteOperation } from '../exchange.ts';
import { checkedIfMatch, checkedResource, transactionOperations } from '../operations.ts';

export function planWrite(exchange: Exchange): void {
  const { route, incoming, body } = exchange;
  const interaction = route.name as WriteOperation['interaction'];
  exchange.operations = [
    {
      interaction,
      type: route.type,
      id: route.id,
      resource: interaction === 'delete' ? undefined : checkedResource(body, route.type, route.id),
      fullUrl: '',
      ifMatch: checkedIfMatch(incoming.headers['if-match']),
      decision: known(exchange.decision, 'decision'),
    },
  ];
  refuseLimited(exchange.operations);
}

export function planTransaction(exchange: Exchange): void {
  exchange.operations = transactionOperations(exchange, bundleEntries(exchange.body, 'transaction'));
  refuseLimited(exchange.operations);
}

/** Each entry of a batch waits for the ledger; a transaction holds its locks until the last. */
const MAX_ENTRIES = 5_000;

/** @throws KeywardError `FHIR_BUNDLE_INVALID`. */
export function bundleEntries(body: Json | undefined, type: 'transaction' | 'batch'): readonly Json[] {
  const bundle = body as { resourceType?: Json; type?: Json; entry?: Json } | null | undefined;
  if (bundle?.resourceType !== 'Bundle' || bundle.type !== type) throw new KeywardError('FHIR_BUNDLE_INVALID');
  const entries = bundle.entry ?? [];
  if (!Array.isArray(entries)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  if (entries.length > MAX_ENTRIES)
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: `At most ${MAX_ENTRIES} entries.` });
  return entries;
}

/** A rule limited to one patient's compartment permits no writes yet: what a write does to compartments is not checked here. */
function refuseLimited(operations: readonly WriteOperation[]): void {
  if (operations.some(({ decision }) => decision.patient !== undefined)) throw new KeywardError('ACCESS_DENIED');
}
