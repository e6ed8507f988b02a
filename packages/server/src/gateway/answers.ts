/** What the upstream answers, by its shape: a resource, or a bundle of them; anything else is none. */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../core/index.ts';
import { type FhirResource, isResourceType } from '../phi/index.ts';
import { isId } from './routes.ts';

const entryShape = z.looseObject({
  resource: z.unknown().optional(),
  search: z.looseObject({ mode: z.string().optional() }).optional(),
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

export interface ResourceEntry {
  readonly resource: FhirResource;
  readonly mode: string | undefined;
}

export const resourceEntries = (body: Json | undefined): ResourceEntry[] =>
  (asBundle(body).entry ?? []).flatMap(({ resource, search }) =>
    resource === undefined ? [] : [{ resource: asResource(resource as Json), mode: search?.mode }],
  );

export const bundleResources = (body: Json | undefined): FhirResource[] =>
  resourceEntries(body).map(({ resource }) => resource);

/** Its id and version go into headers, addresses and the ledger: no other text of the upstream may. @throws KeywardError `GATEWAY_UPSTREAM_INVALID` */
export function asResource(body: Json | undefined): FhirResource {
  const resource = body as FhirResource | null | undefined;
  if (typeof resource?.resourceType !== 'string' || !isResourceType(resource.resourceType))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const { versionId } = (resource['meta'] ?? {}) as { versionId?: Json };
  // Remarks about a search are nobody's record, and have none.
  const isNamed = isId(resource.id) || (resource.resourceType === 'OperationOutcome' && resource.id === undefined);
  if (!isNamed || !(versionId === undefined || isId(versionId))) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return resource;
}
