/** Step 11: every resource that came back is authorised again, whatever was asked for. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { compartmentPatients, type FhirResource, isResourceType } from '../../phi/index.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import type { Decision, PolicyInteraction } from '../policy.ts';

export function reauthoriseOne(exchange: Exchange): void {
  const { route, answer } = exchange;
  const resource = asResource(known(answer, 'answer').body);
  if (resource.resourceType !== route.type || resource.id !== route.id)
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const decision = known(exchange.decision, 'decision');
  if (!inCompartment(resource, decision)) throw new KeywardError('ACCESS_DENIED');
  exchange.findings = [{ resource, decision }];
}

/** Of a result with several resources, those that are not permitted are left out. */
export function reauthoriseMany(exchange: Exchange): void {
  exchange.findings = bundleResources(known(exchange.answer, 'answer').body).flatMap((resource): Finding[] => {
    const decision = decisionFor(exchange, resource.resourceType);
    return decision && inCompartment(resource, decision) ? [{ resource, decision }] : [];
  });
}

function decisionFor(exchange: Exchange, type: string): Decision | undefined {
  const { gateway, route } = exchange;
  if (type === route.type) return known(exchange.decision, 'decision');
  try {
    return gateway.policy.decide(known(exchange.principal, 'principal'), route.name as PolicyInteraction, type);
  } catch {
    return undefined;
  }
}

function inCompartment(resource: FhirResource, { patient }: Decision): boolean {
  if (patient === undefined) return true;
  if (resource.resourceType === 'Patient') return resource.id === patient;
  return compartmentPatients(resource).includes(`Patient/${patient}`);
}

export interface BundleAnswer {
  readonly resourceType: 'Bundle';
  readonly type: string;
  readonly total?: number;
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly {
    readonly resource?: Json;
    readonly request?: Json;
    readonly response?: { readonly [name: string]: Json };
  }[];
}

/** @throws KeywardError `GATEWAY_UPSTREAM_INVALID`. */
export function asBundle(body: Json | undefined): BundleAnswer {
  const bundle = body as Partial<BundleAnswer> | null | undefined;
  if (bundle?.resourceType !== 'Bundle' || !Array.isArray(bundle.entry ?? []))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return bundle as BundleAnswer;
}

const bundleResources = (body: Json | undefined): FhirResource[] =>
  (asBundle(body).entry ?? []).flatMap(({ resource }) => (resource === undefined ? [] : [asResource(resource)]));

export function asResource(body: Json | undefined): FhirResource {
  const resource = body as FhirResource | null | undefined;
  if (typeof resource?.resourceType !== 'string' || !isResourceType(resource.resourceType))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return resource;
}
