/** Steps 5 and 7 of a write: what is to be written, checked and authorised; nothing has been sent yet. */
import { KeywardError } from '../../core/index.ts';
import { type Exchange, known, type WriteOperation } from '../exchange.ts';
import { statedCondition } from '../conditional.ts';
import { bundleEntries, checkedBody, checkedIfMatch, transactionOperations } from '../operations.ts';

export function planWrite(exchange: Exchange): void {
  const { route, incoming, body } = exchange;
  const interaction = route.name as WriteOperation['interaction'];
  exchange.operations = [
    {
      interaction,
      type: route.type,
      id: route.id,
      resource: interaction === 'delete' ? undefined : checkedBody(body, route, exchange.gateway.catalogue),
      fullUrl: '',
      ifMatch: checkedIfMatch(incoming.headers['if-match']),
      decision: known(exchange.decision, 'decision'),
      condition: statedCondition(exchange),
    },
  ];
  refuseLimited(exchange.operations);
}

export async function planTransaction(exchange: Exchange): Promise<void> {
  exchange.operations = await transactionOperations(exchange, bundleEntries(exchange.body, 'transaction'));
  refuseLimited(exchange.operations);
}

/** A rule limited to one patient's compartment permits no writes yet: what a write does to compartments is not checked here. */
export function refuseLimited(operations: readonly WriteOperation[]): void {
  if (operations.some(({ decision }) => decision.patient !== undefined)) throw new KeywardError('ACCESS_DENIED');
}
