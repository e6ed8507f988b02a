/** Looks at a resource with the eyes of the catalogue, for people: what happens to each element, and what a sealed copy shows of it. */
import type { Json } from '@keyward/sdk/seal';
import { hidesYear } from './age.ts';
import type { Catalogue } from './catalogue.ts';
import { INDEX_SYSTEM, isObject, readRoot, ROOT_URL, splitExtensions } from './marks.ts';
import type { Rule } from './rules.ts';
import { planSeal } from './seal.ts';
import { elementsOf } from './structure.ts';
import { TREATMENTS } from './treatments.ts';
import type { FhirResource, IndexClass, IndexTerm, SealSite } from './types.ts';
import { rewriteResource, type Visitor } from './walk.ts';

export interface InspectedElement {
  readonly path: string;
  readonly datatype: string;
  /** Undefined where the element stays clear. */
  readonly rule: Rule | undefined;
}

/** Every element of a resource that has a value, in order. Members that R4 does not define are left out: sealing refuses them. */
export function inspectElements(resource: FhirResource, catalogue: Catalogue): InspectedElement[] {
  const found: InspectedElement[] = [];
  look(resource, catalogue, ({ path, element, ...spot }, value) => {
    if (value !== undefined) found.push({ path, datatype: element.type, rule: catalogue.ruleOf({ element, ...spot }) });
  });
  return found;
}

/**
 * What the upstream can count although it has no key: the values of an index class, of the index that knows no system, and years. In
 * stored records, beginnings of names and identifiers without system stand in one list and cannot be told apart: `shadow`.
 */
export type VisibleKind = IndexClass | 'identifier*' | 'shadow' | 'year';

export interface VisibleTerm<Value> {
  readonly path: string;
  readonly kind: VisibleKind;
  readonly value: Value;
}

/**
 * What a resource will show once it is sealed: terms of which an index will be made, and years as they are.
 * @throws KeywardError as planSeal does
 */
export function termsToShow(
  resource: FhirResource,
  now: Date,
  catalogue: Catalogue,
): VisibleTerm<IndexTerm | string>[] {
  const shown = planSeal(resource, catalogue).sites.flatMap((site): VisibleTerm<IndexTerm | string>[] => {
    const { path, terms } = site;
    const year =
      site.treatment === 'year' ? TREATMENTS.year.store(site.value, asStored(site, now, catalogue)) : undefined;
    const years: VisibleTerm<string>[] = typeof year === 'string' ? [{ path, kind: 'year', value: year }] : [];
    return [
      ...years,
      ...terms.map((term, position) => ({
        path,
        kind: term.indexClass === 'identifier' && position > 0 ? ('identifier*' as const) : term.indexClass,
        value: term,
      })),
    ];
  });
  // Beginnings that several names have in common stand once beside them.
  const prefixes = new Set<string>();
  return shown.filter(({ kind, value }) => {
    if (typeof value === 'string' || !kind.endsWith('-prefix')) return true;
    const isNew = !prefixes.has(`${kind} ${value.text}`);
    prefixes.add(`${kind} ${value.text}`);
    return isNew;
  });
}

const asStored = (site: SealSite, now: Date, catalogue: Catalogue) => ({
  token: '',
  indexes: [],
  hidesYear: hidesYear(site, now, catalogue),
});

/**
 * The blind indexes and years that a sealed resource shows; none in one that was never sealed.
 * @throws KeywardError `GATEWAY_CATALOGUE_UNKNOWN` | `SEAL_NOT_AUTHENTIC`
 */
export function visibleTerms(sealed: FhirResource, catalogue: Catalogue): VisibleTerm<string>[] {
  const root = rootOf(sealed);
  const found: VisibleTerm<string>[] = [];
  if (root === undefined) return found;
  const rules = catalogue.named(root.policy);
  const shadowKind = catalogue.prefixes.size > 0 ? 'shadow' : 'identifier*';
  look(sealed, rules, (spot, value) => {
    const rule = rules.ruleOf(spot);
    if (typeof value !== 'string' || rule === undefined) return;
    const isShadow = spot.element.key === 'Identifier.value' && spot.siblings['system'] === INDEX_SYSTEM;
    const { path } = spot;
    if (rule.treatment === 'year') found.push({ path, kind: 'year', value });
    else if (rule.indexClass) found.push({ path, kind: isShadow ? shadowKind : rule.indexClass, value });
  });
  return found;
}

function look(
  resource: FhirResource,
  catalogue: Catalogue,
  see: (spot: Parameters<Visitor['primitive']>[0], value: Json | undefined) => void,
): void {
  rewriteResource(resource, {
    catalogue,
    flaw: () => undefined,
    primitive(spot, { value, companion }, inside) {
      see(spot, value);
      return { value, companion: companion && inside(companion) };
    },
  });
}

/** Where sealing put it: in the resource, or in its meta where the type has no extensions. */
function rootOf(resource: FhirResource) {
  const holder = elementsOf(resource.resourceType)?.has('extension') ? resource : resource['meta'];
  const [ours] = splitExtensions(isObject(holder) ? holder['extension'] : undefined, ROOT_URL).ours;
  return ours && readRoot(ours);
}
