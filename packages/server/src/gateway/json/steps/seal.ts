/** Step 9: seals what is to be written. */
import { known } from '../../exchange.ts';
import type { ApiExchange } from '../exchange.ts';
import { sealPlanned } from '../seal-plan.ts';

export async function sealBody(exchange: ApiExchange): Promise<void> {
  const { sealPlan, body, asked } = exchange;
  const { request } = known(asked, 'operation').operation;
  if (body === undefined || !request || request.kind === 'unsupported') return;
  const sealed = sealPlan ? await sealPlanned(exchange, sealPlan) : body;
  exchange.outgoing = { mediaType: request.mediaType, body: JSON.stringify(sealed) };
}
