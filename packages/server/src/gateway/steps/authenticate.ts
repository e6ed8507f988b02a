/** Step 3: who calls. */
import { callerAddress } from '../../identity/index.ts';
import type { Exchange } from '../exchange.ts';

export async function authenticate(exchange: Pick<Exchange, 'gateway' | 'incoming' | 'principal'>): Promise<void> {
  // An entry of a batch comes with the principal of its batch.
  if (exchange.principal) return;
  const { gateway, incoming } = exchange;
  const { headers, remoteAddress } = incoming;
  exchange.principal = await gateway.verifier.verify(headers.authorization, callerAddress(headers, remoteAddress));
}
