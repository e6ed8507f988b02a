/** Plans the sealing of one resource: which elements must be sealed, and how the sealed copy is put together. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { hidesYear } from './age.ts';
import type { Catalogue } from './catalogue.ts';
import {
  assertNoReservedMarks,
  imitatesMark,
  INDEX_SYSTEM,
  isObject,
  type JsonObject,
  rootExtension,
  sealedExtension,
} from './marks.ts';
import { prefixShadows, prefixTerms } from './prefix.ts';
import { hasShape } from './primitives.ts';
import type { Rule } from './rules.ts';
import { elementsOf, isResourceType } from './structure.ts';
import { type Sealed, TREATMENTS } from './treatments.ts';
import type { FhirResource, IndexTerm, RootSeal, SealPlan, SealSite } from './types.ts';
import { type Primitive, type PrimitiveSpot, rewriteResource, type Visitor } from './walk.ts';

/**
 * @throws KeywardError `FHIR_RESERVED_EXTENSION`; `FHIR_TYPE_UNKNOWN`; `FHIR_RESOURCE_INVALID` for anything R4 does not define,
 *   since what has no definition has no treatment.
 */
export function planSeal(resource: FhirResource, catalogue: Catalogue): SealPlan {
  assertNoReservedMarks(resource);
  if (!isResourceType(resource.resourceType)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
  const sites: SealSite[] = [];
  rewriteResource(
    resource,
    sealingVisitor((site) => void sites.push(site), catalogue),
  );
  const hasRoot = sites.length > 0 || catalogue.seals(resource.resourceType);
  return {
    sites,
    hasRoot,
    apply(sealed, root, now) {
      const copy = withPrefixes(writeSealed(resource, sites.length, sealed, now, catalogue), sites, sealed);
      return hasRoot ? withRoot(copy, root) : copy;
    },
  };
}

/** The same walk again, in the same order, this time with the tokens. */
function writeSealed(
  resource: FhirResource,
  siteCount: number,
  sealed: Parameters<SealPlan['apply']>[0],
  now: Date,
  catalogue: Catalogue,
): FhirResource {
  if (sealed.length !== siteCount) throw new KeywardError('CORE_INTERNAL');
  let next = 0;
  return rewriteResource(
    resource,
    sealingVisitor((site) => {
      const own = sealed[next++];
      return own && { ...own, hidesYear: hidesYear(site, now, catalogue) };
    }, catalogue),
  );
}

function withPrefixes(
  resource: FhirResource,
  sites: readonly SealSite[],
  sealed: Parameters<SealPlan['apply']>[0],
): FhirResource {
  const shadows = prefixShadows(sites, sealed);
  if (shadows.length === 0) return resource;
  return { ...resource, identifier: [...listIn(resource, 'identifier'), ...shadows] };
}

/** Types without extensions of their own (Binary, Bundle, Parameters) carry the root in their meta. */
function withRoot(resource: FhirResource, root: RootSeal): FhirResource {
  const ours = rootExtension(root);
  if (elementsOf(resource.resourceType)?.has('extension'))
    return { ...resource, extension: [...listIn(resource, 'extension'), ours] };
  const { resourceType, id, meta, ...rest } = resource;
  const base = isObject(meta) ? meta : {};
  return {
    resourceType,
    ...(id === undefined ? {} : { id }),
    meta: { ...base, extension: [...listIn(base, 'extension'), ours] },
    ...rest,
  };
}

const listIn = (object: JsonObject, name: string): readonly Json[] =>
  Array.isArray(object[name]) ? (object[name] as readonly Json[]) : [];

function sealingVisitor(take: (site: SealSite) => Sealed | undefined | void, catalogue: Catalogue): Visitor {
  // System-less indexes of the list of identifiers being walked; such lists do not nest.
  let shadows: JsonObject[] = [];
  return {
    catalogue,
    flaw(path, flaw) {
      const detail = flaw === 'unknown' ? `${path} has a member that R4 does not define.` : `${path} is ${flaw}.`;
      throw new KeywardError('FHIR_RESOURCE_INVALID', { detail });
    },
    primitive(spot, { value, companion }, inside) {
      const beside = companion && inside(companion);
      const rule = catalogue.ruleOf(spot);
      if (value !== undefined) assertShape(spot, value, rule, catalogue);
      if (value === undefined || rule === undefined) return { value, companion: beside };
      const sealed = take(siteOf(spot, rule, value, catalogue));
      if (!sealed) return { value, companion: beside };
      const shadow = rule.indexClass === 'identifier' ? sealed.indexes[1] : undefined;
      if (shadow) shadows.push({ system: INDEX_SYSTEM, value: shadow });
      return stored(rule, value, sealed, beside);
    },
    afterList({ type }, entries) {
      if (type !== 'Identifier') return entries;
      const complete = [...entries, ...shadows];
      shadows = [];
      return complete;
    },
  };
}

function stored(rule: Rule, value: Json, sealed: Sealed, beside: JsonObject | undefined): Primitive {
  const { store, read } = TREATMENTS[rule.treatment];
  const companion = read
    ? beside
    : { ...beside, extension: [...listIn(beside ?? {}, 'extension'), sealedExtension(sealed.token)] };
  return { value: store(value, sealed), companion };
}

function siteOf(spot: PrimitiveSpot, rule: Rule, value: Json, catalogue: Catalogue): SealSite {
  const { path, position, element } = spot;
  const { treatment, fieldClass } = rule;
  return {
    path,
    position,
    datatype: element.type,
    treatment,
    fieldClass,
    value,
    terms: termsOf(spot, rule, value, catalogue),
  };
}

/** An identifier is found with its system, and in lists without it too, through a shadow entry; a name perhaps by its beginnings. */
function termsOf(
  { path, element, siblings, ownerRepeats }: PrimitiveSpot,
  { indexClass }: Rule,
  value: Json,
  catalogue: Catalogue,
): IndexTerm[] {
  if (indexClass === undefined || typeof value !== 'string') return [];
  const system = element.key === 'Identifier.value' && typeof siblings['system'] === 'string' ? siblings['system'] : '';
  const term = { indexClass, system, text: value };
  if (system !== '' && ownerRepeats) return [term, { ...term, system: '' }];
  return [term, ...prefixTerms(path, term, catalogue)];
}

function assertShape(spot: PrimitiveSpot, value: Json, rule: Rule | undefined, catalogue: Catalogue): void {
  const { path, element } = spot;
  if ((spot.context.sealed || rule !== undefined) && !hasShape(element.type, value))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is not a legal ${element.type}.` });
  if (rule !== undefined || typeof value !== 'string') return;
  // In clear it could not be told from a token that was moved there.
  if (imitatesMark(value))
    throw new KeywardError('FHIR_RESERVED_EXTENSION', { detail: `${path} begins like a mark of the gateway.` });
  if (element.key === 'Reference.reference') assertReference(path, value, catalogue);
}

/** A conditional reference is a search: its values are as sensitive as what it asks for. */
function assertReference(path: string, reference: string, catalogue: Catalogue): void {
  const detail = `${path}: resolve a conditional reference to a type that is sealed before sending it.`;
  const query = reference.indexOf('?');
  if (/\s/.test(reference))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is not a legal reference.` });
  if (query < 0) return;
  const type = reference.slice(0, query).split('/').at(-1) ?? '';
  if (!isResourceType(type) || catalogue.touches(type)) throw new KeywardError('FHIR_RESOURCE_INVALID', { detail });
}
