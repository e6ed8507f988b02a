/** Step 11: every resource that came back is authorised again, whatever was asked for. */
import { KeywardError } from '../../core/index.ts';
import { compartmentPatients, type FhirResource, isCompartmentType, RESOURCE_TYPES } from '../../phi/index.ts';
import { asResource, bundleResources, type ResourceEntry, resourceEntries } from '../answers.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { metaOf } from '../results.ts';

export function reauthoriseOne(exchange: Exchange): void {
  const { route, answer } = exchange;
  const resource = asResource(known(answer, 'answer').body);
  const isVersion = route.version === '' || metaOf(resource).versionId === route.version;
  if (resource.resourceType !== route.type || resource.id !== route.id || !isVersion)
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const decision = known(exchange.decision, 'decision');
  if (!inCompartment(resource, decision)) throw new KeywardError('ACCESS_DENIED');
  exchange.findings = [{ resource, decision }];
}

/** Of a search, what is of another type (a remark of the upstream) or not permitted is left out. */
export function reauthoriseMatches(exchange: Exchange): void {
  const { answer, route, search } = exchange;
  const entries = resourceEntries(known(answer, 'answer').body);
  const isMatch = ({ resource, mode }: ResourceEntry) => mode !== 'include' && resource.resourceType === route.type;
  const decision = known(exchange.decision, 'decision');
  const matches = entries
    .filter((entry) => isMatch(entry) && inCompartment(entry.resource, decision))
    .map(({ resource }): Finding => ({ resource, decision }));
  const others = search?.includes.length ? entries.filter((entry) => !isMatch(entry)) : [];
  exchange.findings = [
    ...matches,
    ...permitted(
      exchange,
      others.map(({ resource }) => resource),
    ),
  ];
}

/** A page that drags along more than this is asked for in smaller pages. */
const MAX_INCLUDED = 1000;

/** What comes along with what was asked for, as far as the caller may read each of it by itself. @throws KeywardError `FHIR_INCLUDES_TOO_MANY` */
export function permitted(exchange: Exchange, resources: readonly FhirResource[]): Finding[] {
  if (resources.length > MAX_INCLUDED) throw new KeywardError('FHIR_INCLUDES_TOO_MANY');
  const decisions = new Map<string, Decision | undefined>();
  return resources.flatMap((resource): Finding[] => {
    const { resourceType } = resource;
    if (!decisions.has(resourceType)) decisions.set(resourceType, readDecision(exchange, resourceType));
    const decision = decisions.get(resourceType);
    return decision && inCompartment(resource, decision) ? [{ resource, decision, included: true }] : [];
  });
}

const REFUSALS: ReadonlySet<string> = new Set(['ACCESS_DENIED', 'ACCESS_SCOPE']);

function readDecision({ gateway, principal }: Exchange, type: string): Decision | undefined {
  try {
    return gateway.policy.decide(known(principal, 'principal'), 'read', type);
  } catch (error) {
    if (error instanceof KeywardError && REFUSALS.has(error.code)) return undefined;
    throw error;
  }
}

/** All versions are of the one record that was asked for; when none of them may be seen, nothing tells that there are any. */
export function reauthoriseVersions(exchange: Exchange): void {
  const { route, answer } = exchange;
  const decision = known(exchange.decision, 'decision');
  const versions = bundleResources(known(answer, 'answer').body);
  if (versions.some(({ resourceType, id }) => resourceType !== route.type || id !== route.id))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  exchange.findings = versions
    .filter((resource) => inCompartment(resource, decision))
    .map((resource): Finding => ({ resource, decision }));
  if (decision.patient !== undefined && exchange.findings.length === 0) throw new KeywardError('ACCESS_DENIED');
}

function inCompartment(resource: FhirResource, { patient }: Decision): boolean {
  if (patient === undefined) return true;
  if (resource.resourceType === 'Patient') return resource.id === patient;
  return canBeOwn(resource.resourceType) && compartmentPatients(resource).includes(`Patient/${patient}`);
}

/** Whether somebody limited to one patient can be shown resources of a type: who is in a group with whom is not one member's to know. */
const canBeOwn = (type: string): boolean => type === 'Binary' || (type !== 'Group' && isCompartmentType(type));

/** Types of which the caller can be shown anything; undefined: all. */
export function shownTypes(exchange: Exchange): string[] | undefined {
  const types = RESOURCE_TYPES.filter((type) => {
    const decision = readDecision(exchange, type);
    return decision && (decision.patient === undefined || canBeOwn(type));
  });
  return types.length === RESOURCE_TYPES.length ? undefined : types;
}
