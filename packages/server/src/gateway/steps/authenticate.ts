/** Step 3: who calls. */
import type { Exchange } from '../exchange.ts';

/** No address: a request that came through a proxy. */
const FORWARDED = 'forwarded';

export async function authenticate(exchange: Exchange): Promise<void> {
  // An entry of a batch comes with the principal of its batch.
  if (exchange.principal) return;
  const { gateway, incoming } = exchange;
  const { authorization, forwarded, 'x-forwarded-for': forwardedFor } = incoming.headers;
  // A proxy on this host makes strangers look local; what it forwards is not from loopback.
  const address = forwarded === undefined && forwardedFor === undefined ? incoming.remoteAddress : FORWARDED;
  exchange.principal = await gateway.verifier.verify(authorization, address);
}
