/** Parameters of an operation from the body of its POST, as the pairs a query would hold. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { isObject, type Resource, type SearchPair } from './types.ts';

/** @throws KeywardError `FHIR_RESOURCE_INVALID` | `FHIR_PARAM_INVALID` */
export function operationPairs(body: Resource | undefined): SearchPair[] {
  if (body === undefined) return [];
  const { resourceType, parameter = [] } = body;
  if (resourceType !== 'Parameters' || !Array.isArray(parameter)) throw new KeywardError('FHIR_RESOURCE_INVALID');
  return parameter.map(pairOf);
}

/** A name and one value; decimals keep their digits as raw JSON, and no operation here takes one. */
function pairOf(part: Json): SearchPair {
  if (!isObject(part)) throw new KeywardError('FHIR_PARAM_INVALID');
  const { name, ...rest } = part;
  const [[key, value] = [], ...more] = Object.entries(rest);
  const isText = typeof value === 'string' || typeof value === 'number';
  if (typeof name !== 'string' || !key?.startsWith('value') || !isText || more.length > 0)
    throw new KeywardError('FHIR_PARAM_INVALID');
  return [name, String(value)];
}
