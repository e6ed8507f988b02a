/** Step 10: the upstream. */
import { type Exchange, known } from '../exchange.ts';

export async function forward(exchange: Exchange): Promise<void> {
  exchange.answer = await exchange.gateway.upstream.request(known(exchange.outgoing, 'outgoing request'));
}

export function planRead(exchange: Exchange): void {
  const { type, id, version } = exchange.route;
  exchange.outgoing = { method: 'GET', path: version === '' ? `/${type}/${id}` : `/${type}/${id}/_history/${version}` };
}
