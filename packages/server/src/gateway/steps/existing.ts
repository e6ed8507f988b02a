/** What a conditional create shows beyond what its caller sent: the resource that was there already. */
import { KeywardError } from '../../core/index.ts';
import { type Exchange, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { disclose } from './disclose.ts';

/** RFC 7240; FHIR R4 §3.1.0.1.7. */
export const preferredReturn = ({ incoming }: Exchange): string | undefined =>
  /(?:^|,)\s*return=(minimal|representation)\s*(?:,|$)/.exec(String(incoming.headers['prefer'] ?? ''))?.[1];

/** Step 12 of a create that found its resource: it is opened only for who asks for it and may read it. */
export async function discloseExisting(exchange: Exchange): Promise<void> {
  const existing = exchange.operations[0]?.settled?.existing;
  if (!existing || preferredReturn(exchange) !== 'representation') return;
  const decision = readDecision(exchange);
  if (!decision) return;
  exchange.findings = [{ resource: existing, decision }];
  await disclose(exchange);
}

function readDecision({ gateway, principal, route }: Exchange): Decision | undefined {
  try {
    const decision = gateway.policy.decide(known(principal, 'principal'), 'read', route.type);
    return decision.patient === undefined ? decision : undefined;
  } catch (error) {
    if (error instanceof KeywardError) return undefined;
    throw error;
  }
}
