/** A submission: one file as one FHIR request, and what its resources are called in other files. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { isObject, type JsonObject, listAt, textAt } from '../json.ts';
import { rewriteReferences } from './references.ts';

export interface Submission {
  /** Below the FHIR base: '' for a bundle, else the type. */
  readonly path: string;
  readonly body: JsonObject;
  /** For each resource in order, the reference that others know it by. */
  readonly names: readonly (string | undefined)[];
}

/** Resource document → submission, by `Bundle.type`. */
const BUNDLES: Readonly<Record<string, (bundle: JsonObject) => Submission>> = {
  transaction: asWritten,
  batch: asWritten,
  collection: collectionToTransaction,
};

/** @throws KeywardError `CLI_INPUT` */
export function toSubmission(document: Json): Submission {
  const resourceType = textAt(document, 'resourceType');
  if (!isObject(document) || resourceType === undefined)
    throw new KeywardError('CLI_INPUT', { detail: 'it has no resourceType' });
  if (resourceType !== 'Bundle') return { path: resourceType, body: document, names: [nameOf(document)] };
  const type = textAt(document, 'type') ?? '';
  const convert = Object.hasOwn(BUNDLES, type) ? BUNDLES[type] : undefined;
  if (!convert)
    throw new KeywardError('CLI_INPUT', {
      detail: `only bundles of type ${Object.keys(BUNDLES).join(', ')} can be loaded`,
    });
  return convert(document);
}

function asWritten(bundle: JsonObject): Submission {
  return { path: '', body: bundle, names: listAt(bundle, 'entry').map((entry) => textAt(entry, 'fullUrl')) };
}

/** Every resource becomes a create; what they called each other becomes `urn:uuid`, which the server resolves. */
function collectionToTransaction(bundle: JsonObject): Submission {
  const resources = listAt(bundle, 'entry').map((entry) => ({ entry, resource: resourceOf(entry) }));
  const internal = new Map<string, string>();
  const named = resources.map(({ entry, resource }) => {
    const given = textAt(entry, 'fullUrl');
    const fullUrl = given?.startsWith('urn:uuid:') ? given : `urn:uuid:${crypto.randomUUID()}`;
    for (const name of [given, nameOf(resource)]) if (name !== undefined) internal.set(name, fullUrl);
    return { resource, fullUrl, name: given ?? nameOf(resource) };
  });
  const entry = named.map(({ resource, fullUrl }) => {
    const { id: _assignedByTheServer, ...content } = resource;
    return {
      fullUrl,
      resource: rewriteReferences(content, internal),
      request: { method: 'POST', url: textAt(resource, 'resourceType') ?? '' },
    };
  });
  return {
    path: '',
    body: { resourceType: 'Bundle', type: 'transaction', entry },
    names: named.map(({ name }) => name),
  };
}

function resourceOf(entry: Json): JsonObject {
  const resource = isObject(entry) ? entry['resource'] : undefined;
  if (isObject(resource) && textAt(resource, 'resourceType')) return resource;
  throw new KeywardError('CLI_INPUT', { detail: 'an entry of the collection holds no resource' });
}

function nameOf(resource: JsonObject): string | undefined {
  const id = textAt(resource, 'id');
  return id === undefined ? undefined : `${textAt(resource, 'resourceType')}/${id}`;
}
