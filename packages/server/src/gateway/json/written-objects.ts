/** What a body writes besides the object of its operation, and what it removes: both by the policy, object by object. */
import { KeywardError } from '../../core/index.ts';
import type { JsonAbsence, JsonSealPlan } from '../../phi/index.ts';
import type { PolicyInteraction } from '../policy.ts';
import type { ApiExchange } from './exchange.ts';
import { decide, decisionOn } from './steps/authorise.ts';

/** @throws KeywardError `ACCESS_DENIED` | `ACCESS_SCOPE` when some object may not be written, or removed with what is around it */
export function authoriseObjects(exchange: ApiExchange, { objects, absent }: JsonSealPlan): void {
  const { route, api } = exchange;
  // The body itself is the operation's object, and pages go with it.
  const written = objects.slice(1).filter(({ page }) => !page);
  const removed = route.name === 'update' ? absent.filter(({ fieldClass }) => fieldClass === undefined) : [];
  for (const type of new Set([...written, ...removed].map((one) => `${api.name}:${one.type}`)))
    if (type !== route.type) decide(exchange, route.name as PolicyInteraction, type);
}

/** The ways in which somebody may have come by what they now write back. */
const VIEWS = ['read', 'search'] as const;

/**
 * Who is shown less than everything would erase, by writing back what was shown, the rest.
 * @throws KeywardError `ACCESS_PARTIAL_WRITE`
 */
export function refusePartialWrite(exchange: ApiExchange, { absent }: JsonSealPlan): void {
  const views = VIEWS.filter((view) => decisionOn(exchange, view, exchange.route.type));
  if (absent.some((absence) => !absence.stated && isHidden(exchange, views, absence)))
    throw new KeywardError('ACCESS_PARTIAL_WRITE');
}

/** Whether it may be missing because it was not shown. Who is shown nothing cannot tell what there is: only lists are theirs to replace. */
function isHidden(
  exchange: ApiExchange,
  views: readonly PolicyInteraction[],
  { type, fieldClass, entries }: JsonAbsence,
): boolean {
  if (views.length === 0) return !entries;
  return views.some((view) => {
    const decision = decisionOn(exchange, view, `${exchange.api.name}:${type}`);
    return !decision || (fieldClass !== undefined && !decision.open.has(fieldClass));
  });
}
