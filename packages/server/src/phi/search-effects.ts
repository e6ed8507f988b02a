/** What sealing does to the elements that a search parameter looks at: the same rules that seal them, asked by the way there. */
import type { Catalogue, Context } from './catalogue.ts';
import type { Trail } from './expression.ts';
import { isPrimitive } from './primitives.ts';
import { type Element, elementsOf, holdsResource } from './structure.ts';
import type { IndexClass } from './types.ts';

/** Nothing, an index of these classes, the year only, or no search at all. */
export type Effect = 'clear' | 'year' | 'refused' | readonly IndexClass[];

/** Context of the last element of a trail. */
export const contextAt = (resourceType: string, trail: Trail, catalogue: Catalogue): Context =>
  trail
    .slice(0, -1)
    .reduce<Context>(
      (context, { element }) => catalogue.contextInside(context, element, {}),
      catalogue.contextOfResource(undefined, resourceType),
    );

/** Elements that are searched through their parts. A string search on an address finds the parts that have an index. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  HumanName: ['family', 'given'],
  Address: ['city', 'postalCode'],
  Identifier: ['value'],
  ContactPoint: ['value'],
};

/** Systems of a telecom that have an index each. */
const CONTACT_SYSTEMS = ['phone', 'email'];

export function effectOf(resourceType: string, trail: Trail, catalogue: Catalogue): Effect {
  const last = trail.at(-1);
  if (!last) return 'refused';
  const { element, filters } = last;
  const context = contextAt(resourceType, trail, catalogue);
  if (isPrimitive(element.type)) return effectAt(element, context, {}, catalogue);
  const inside = catalogue.contextInside(context, element, {});
  const parts = PARTS[element.type];
  // What a search looks at inside a coding, a quantity or a period stays clear, unless an override takes it away.
  if (!parts) return isOverridden(element.type, inside, catalogue) ? 'refused' : 'clear';
  const elements = parts.flatMap((name) => elementsOf(element.type)?.get(name) ?? []);
  const systems = element.type === 'ContactPoint' ? systemsOf(filters) : [undefined];
  return joined(
    elements.flatMap((part) =>
      systems.map((system) => effectAt(part, inside, system === undefined ? {} : { system }, catalogue)),
    ),
  );
}

const systemsOf = (filters: readonly string[]): readonly string[] =>
  filters.length === 0 ? CONTACT_SYSTEMS : CONTACT_SYSTEMS.filter((system) => filters.includes(`system='${system}'`));

function effectAt(
  element: Element,
  context: Context,
  siblings: { readonly [name: string]: string },
  catalogue: Catalogue,
): Effect {
  const rule = catalogue.ruleOf({ element, context, siblings });
  if (rule === undefined) return 'clear';
  if (rule.indexClass) return [rule.indexClass];
  return rule.treatment === 'year' ? 'year' : 'refused';
}

/** One search asks all parts in one way: where some are indexed and others are clear or sealed, it would miss those. */
function joined(effects: readonly Effect[]): Effect {
  if (effects.length > 0 && effects.every((effect) => effect === 'clear')) return 'clear';
  return effects.every((effect) => typeof effect === 'object') ? effects.flat() : 'refused';
}

/** Texts that no search without modifier looks at. */
const NOT_SEARCHED: ReadonlySet<string> = new Set([
  'Coding.display',
  'Coding.version',
  'CodeableConcept.text',
  'Quantity.unit',
  'Reference.display',
]);

/** Datatypes in datatypes: a timing holds ranges of quantities. */
const MAX_DATATYPE_DEPTH = 4;

function isOverridden(type: string, context: Context, catalogue: Catalogue, depth = 0): boolean {
  if (depth === MAX_DATATYPE_DEPTH || holdsResource(type)) return false;
  return [...(elementsOf(type)?.values() ?? [])].some((element) => {
    if (element.type === 'Extension' || NOT_SEARCHED.has(element.key)) return false;
    if (isPrimitive(element.type)) return catalogue.ruleOf({ element, context, siblings: {} })?.override !== undefined;
    return isOverridden(element.type, catalogue.contextInside(context, element, {}), catalogue, depth + 1);
  });
}
