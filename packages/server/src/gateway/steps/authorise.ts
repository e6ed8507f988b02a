/** Step 5: whether role, purpose and scopes permit this interaction on this type; deny by default. */
import { KeywardError } from '../../core/index.ts';
import { type Exchange, known } from '../exchange.ts';
import type { PolicyInteraction } from '../policy.ts';
import type { RouteName } from '../routes.ts';

/** A patch is an update that says only what changes (SMART App Launch 2.2: `u`); of $everything each resource is decided again. */
const DECIDED_AS: Partial<Record<RouteName, PolicyInteraction>> = { patch: 'update', everything: 'read' };

export function authorise(exchange: Exchange): void {
  const { gateway, route } = exchange;
  exchange.decision = gateway.policy.decide(
    known(exchange.principal, 'principal'),
    DECIDED_AS[route.name] ?? (route.name as PolicyInteraction),
    route.type,
  );
  const { patient } = exchange.decision;
  // Another patient's record is refused before the upstream is asked, so that nothing tells whether it exists.
  if (patient !== undefined && route.type === 'Patient' && route.id !== '' && route.id !== patient)
    throw new KeywardError('ACCESS_DENIED');
}
