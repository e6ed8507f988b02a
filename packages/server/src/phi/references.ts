/** Rewrites the references of a resource, wherever one may stand: elements, extensions, contained resources. */
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from './types.ts';
import { rewriteResource } from './walk.ts';

/**
 * A copy with every `Reference.reference` replaced. Members that R4 does not define are kept: whoever seals or opens the copy judges them.
 * @throws KeywardError `FHIR_RESOURCE_INVALID`
 */
export function mapReferences(resource: FhirResource, map: (reference: string) => string): FhirResource {
  return rewriteResource(resource, {
    primitive: ({ element }, { value, companion }, inside) => ({
      value: element.key === 'Reference.reference' && typeof value === 'string' ? map(value) : value,
      companion: companion && inside(companion),
    }),
    flaw(path, flaw, value) {
      if (flaw === 'unknown' || flaw === 'empty') return value;
      throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is ${flaw}.` });
    },
  });
}
