/** Step 5: whether role, purpose and scopes permit this operation on these objects; deny by default. */
import { asKeywardError, KeywardError } from '../../../core/index.ts';
import { known } from '../../exchange.ts';
import type { Decision, PolicyInteraction } from '../../policy.ts';
import type { ApiExchange } from '../exchange.ts';

export function authoriseOperation(exchange: ApiExchange): void {
  const { route } = exchange;
  exchange.decision = decide(exchange, route.name as PolicyInteraction, route.type);
}

/** @param type as policies name it, e.g. `crm:Member` @throws KeywardError `ACCESS_DENIED` | `ACCESS_SCOPE` | `IDENTITY_MFA_REQUIRED` */
export function decide({ api, principal }: ApiExchange, interaction: PolicyInteraction, type: string): Decision {
  const decision = api.policy.decide(known(principal, 'principal'), interaction, type);
  // A patient's scope limits to a FHIR compartment; what of a JSON API would be inside, nobody said.
  if (decision.patient !== undefined) throw new KeywardError('ACCESS_SCOPE');
  return decision;
}

/** Undefined when it is not permitted. */
export function decisionOn(exchange: ApiExchange, interaction: PolicyInteraction, type: string): Decision | undefined {
  try {
    return decide(exchange, interaction, type);
  } catch (thrown) {
    if (asKeywardError(thrown).row.status < 500) return undefined;
    throw thrown;
  }
}
