/** What a search parameter finds in a resource whose values are open: texts with their indexes, dates, references. */
import type { Json } from '@keyward/sdk/seal';
import type { Catalogue, Context } from './catalogue.ts';
import { entriesOf, type Trail, trailsOf, valuesAt } from './expression.ts';
import { isObject, type JsonObject } from './marks.ts';
import { isPrimitive } from './primitives.ts';
import { searchParameter } from './search.ts';
import { contextAt } from './search-effects.ts';
import { type Element, elementsOf } from './structure.ts';
import type { FhirResource, IndexTerm } from './types.ts';

const trailsOfParameter = (type: string, code: string): Trail[] =>
  trailsOf(searchParameter(type, code)?.expression ?? '');

/** The indexed texts that a parameter looks at, each with the class and system of its index. */
export function searchedTerms(resource: FhirResource, code: string, catalogue: Catalogue): IndexTerm[] {
  const { resourceType } = resource;
  return trailsOfParameter(resourceType, code).flatMap((trail) => {
    const last = trail.at(-1);
    const context = contextAt(resourceType, trail, catalogue);
    return last ? valuesAt(resource, trail).flatMap((value) => termsOf(last.element, value, context, catalogue)) : [];
  });
}

function termsOf(element: Element, value: Json, context: Context, catalogue: Catalogue): IndexTerm[] {
  if (isPrimitive(element.type)) return termOf(element, value, {}, context, catalogue);
  if (!isObject(value)) return [];
  const inside = catalogue.contextInside(context, element, value);
  const parts = [...(elementsOf(element.type)?.values() ?? [])];
  return parts.flatMap((part) =>
    entriesOf(value, part.name).flatMap((text) => termOf(part, text, value, inside, catalogue)),
  );
}

function termOf(
  element: Element,
  text: Json,
  siblings: JsonObject,
  context: Context,
  catalogue: Catalogue,
): IndexTerm[] {
  if (typeof text !== 'string' || !isPrimitive(element.type)) return [];
  const rule = catalogue.ruleOf({ element, context, siblings });
  if (!rule?.indexClass) return [];
  const system = element.key === 'Identifier.value' && typeof siblings['system'] === 'string' ? siblings['system'] : '';
  return [{ indexClass: rule.indexClass, system, text }];
}

/** The texts (dates among them) that a parameter on primitive elements selects. */
export const searchedTexts = (resource: FhirResource, code: string): string[] =>
  trailsOfParameter(resource.resourceType, code)
    .flatMap((trail) => valuesAt(resource, trail))
    .filter((value) => typeof value === 'string');

/** Names of the elements of the type itself that a parameter looks into. */
export const searchedElements = (type: string, code: string): string[] => [
  ...new Set(trailsOfParameter(type, code).flatMap(([first]) => first?.element.stem ?? [])),
];

/** References and canonicals that a parameter selects, as written. */
export function searchedReferences(resource: FhirResource, code: string): string[] {
  const values = trailsOfParameter(resource.resourceType, code).flatMap((trail) => valuesAt(resource, trail));
  return values.flatMap((value) => {
    const reference = isObject(value) ? value['reference'] : value;
    return typeof reference === 'string' ? [reference] : [];
  });
}
