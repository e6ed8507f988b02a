/** Rewrites the references of a resource, wherever one may stand: elements, extensions, contained resources. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { KEYWARDS_OWN } from './catalogue.ts';
import type { Element } from './structure.ts';
import type { FhirResource } from './types.ts';
import { rewriteResource } from './walk.ts';

/** Datatypes whose values may name another entry of a transaction (https://hl7.org/fhir/R4/http.html#trules). */
const LINK_TYPES: ReadonlySet<string> = new Set(['uri', 'url', 'canonical', 'oid', 'uuid']);

/**
 * A copy with every `Reference.reference` replaced. Members that R4 does not define are kept: whoever seals or opens the copy judges them.
 * @param onLink is shown every uri, url, canonical, oid and uuid; it may throw
 * @throws KeywardError `FHIR_RESOURCE_INVALID`
 */
export function mapReferences(
  resource: FhirResource,
  map: (reference: string) => string,
  onLink?: (link: string) => void,
): FhirResource {
  const mapped = ({ key, type }: Element, value: Json | undefined): Json | undefined => {
    if (typeof value !== 'string') return value;
    if (key === 'Reference.reference') return map(value);
    if (LINK_TYPES.has(type)) onLink?.(value);
    return value;
  };
  return rewriteResource(resource, {
    // No rule is asked here: structure alone says what is a reference.
    catalogue: KEYWARDS_OWN,
    primitive: ({ element }, { value, companion }, inside) => ({
      value: mapped(element, value),
      companion: companion && inside(companion),
    }),
    flaw(path, flaw, value) {
      if (flaw === 'unknown' || flaw === 'empty') return value;
      throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is ${flaw}.` });
    },
  });
}
