/** Step 10: the upstream. */
import { type Exchange, known } from '../exchange.ts';

export async function forward(exchange: Exchange): Promise<void> {
  const { headers, ...request } = known(exchange.outgoing, 'outgoing request');
  // The keys the built-in store asks for are then recorded under the same id.
  const withId = { ...headers, 'x-correlation-id': exchange.correlationId };
  exchange.answer = await exchange.gateway.upstream.request({ ...request, headers: withId });
}

export function planRead(exchange: Exchange): void {
  const { type, id, version } = exchange.route;
  exchange.outgoing = { method: 'GET', path: version === '' ? `/${type}/${id}` : `/${type}/${id}/_history/${version}` };
}
