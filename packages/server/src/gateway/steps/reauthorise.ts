/** Step 11: every resource that came back is authorised again, whatever was asked for. */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { compartmentPatients, type FhirResource, isResourceType } from '../../phi/index.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';

export function reauthoriseOne(exchange: Exchange): void {
  const { route, answer } = exchange;
  const resource = asResource(known(answer, 'answer').body);
  if (resource.resourceType !== route.type || resource.id !== route.id)
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const decision = known(exchange.decision, 'decision');
  if (!inCompartment(resource, decision)) throw new KeywardError('ACCESS_DENIED');
  exchange.findings = [{ resource, decision }];
}

/** Of a search, what is of another type (a remark of the upstream) or not permitted is left out. */
export function reauthoriseMatches(exchange: Exchange): void {
  const decision = known(exchange.decision, 'decision');
  exchange.findings = bundleResources(known(exchange.answer, 'answer').body)
    .filter((resource) => resource.resourceType === exchange.route.type && inCompartment(resource, decision))
    .map((resource): Finding => ({ resource, decision }));
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
  return compartmentPatients(resource).includes(`Patient/${patient}`);
}

const entryShape = z.looseObject({
  resource: z.unknown().optional(),
  response: z
    .looseObject({
      status: z.string().optional(),
      location: z.string().optional(),
      etag: z.string().optional(),
      lastModified: z.string().optional(),
    })
    .optional(),
});
const bundleShape = z.looseObject({
  resourceType: z.literal('Bundle'),
  total: z.int().min(0).optional(),
  link: z.array(z.looseObject({ relation: z.string(), url: z.string() })).optional(),
  entry: z.array(entryShape).optional(),
});
type BundleAnswer = z.infer<typeof bundleShape>;
export type AnswerEntry = z.infer<typeof entryShape>;

/** @throws KeywardError `GATEWAY_UPSTREAM_INVALID`. */
export function asBundle(body: Json | undefined): BundleAnswer {
  const parsed = bundleShape.safeParse(body);
  if (!parsed.success) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return parsed.data;
}

const bundleResources = (body: Json | undefined): FhirResource[] =>
  (asBundle(body).entry ?? []).flatMap(({ resource }) =>
    resource === undefined ? [] : [asResource(resource as Json)],
  );

export function asResource(body: Json | undefined): FhirResource {
  const resource = body as FhirResource | null | undefined;
  if (typeof resource?.resourceType !== 'string' || !isResourceType(resource.resourceType))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return resource;
}
