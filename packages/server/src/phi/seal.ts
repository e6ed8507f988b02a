/** Plans the sealing of one resource: which elements must be sealed, and how the sealed copy is put together. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Rule, ruleOf, sealsByDefault } from './catalogue.ts';
import {
  assertNoReservedMarks,
  imitatesMark,
  INDEX_SYSTEM,
  isObject,
  type JsonObject,
  rootExtension,
  sealedExtension,
} from './marks.ts';
import { hasShape } from './primitives.ts';
import { elementsOf, isResourceType } from './structure.ts';
import { type Sealed, TREATMENTS } from './treatments.ts';
import type { FhirResource, IndexTerm, RootSeal, SealPlan, SealSite } from './types.ts';
import { type Primitive, type PrimitiveSpot, rewriteResource, type Visitor } from './walk.ts';

/**
 * @throws KeywardError `FHIR_RESERVED_EXTENSION`; `FHIR_TYPE_UNKNOWN`; `FHIR_RESOURCE_INVALID` for anything R4 does not define,
 *   since what has no definition has no treatment.
 */
export function planSeal(resource: FhirResource): SealPlan {
  assertNoReservedMarks(resource);
  if (!isResourceType(resource.resourceType)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
  const sites: SealSite[] = [];
  rewriteResource(
    resource,
    sealingVisitor((site) => void sites.push(site)),
  );
  return { sites, apply: (sealed, root) => writeSealed(resource, sites.length, sealed, root) };
}

/** The same walk again, in the same order, this time with the tokens. */
function writeSealed(
  resource: FhirResource,
  siteCount: number,
  sealed: readonly Sealed[],
  root: RootSeal,
): FhirResource {
  if (sealed.length !== siteCount) throw new KeywardError('CORE_INTERNAL');
  let next = 0;
  const copy = rewriteResource(
    resource,
    sealingVisitor(() => sealed[next++]),
  );
  return siteCount > 0 || sealsByDefault(resource.resourceType) ? withRoot(copy, root) : copy;
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

function sealingVisitor(take: (site: SealSite) => Sealed | undefined | void): Visitor {
  // System-less indexes of the list of identifiers being walked; such lists do not nest.
  let shadows: JsonObject[] = [];
  return {
    flaw(path, flaw) {
      const detail = flaw === 'unknown' ? `${path} has a member that R4 does not define.` : `${path} is ${flaw}.`;
      throw new KeywardError('FHIR_RESOURCE_INVALID', { detail });
    },
    primitive(spot, { value, companion }, inside) {
      const beside = companion && inside(companion);
      const rule = ruleOf(spot);
      if (value !== undefined) assertShape(spot, value, rule === undefined);
      if (value === undefined || rule === undefined) return { value, companion: beside };
      const sealed = take(siteOf(spot, rule, value));
      if (!sealed) return { value, companion: beside };
      const shadow = sealed.indexes[1];
      if (shadow) shadows.push({ system: INDEX_SYSTEM, value: shadow });
      return stored(rule, value, sealed, beside);
    },
    afterList(type, entries) {
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

function siteOf(spot: PrimitiveSpot, rule: Rule, value: Json): SealSite {
  const { path, element } = spot;
  return { path, datatype: element.type, fieldClass: rule.fieldClass, value, terms: termsOf(spot, rule, value) };
}

/** An identifier is found with its system, and in lists without it too, through a shadow entry. */
function termsOf({ element, siblings, ownerRepeats }: PrimitiveSpot, { indexClass }: Rule, value: Json): IndexTerm[] {
  if (indexClass === undefined || typeof value !== 'string') return [];
  const system = element.key === 'Identifier.value' && typeof siblings['system'] === 'string' ? siblings['system'] : '';
  const term = { indexClass, system, text: value };
  return system !== '' && ownerRepeats ? [term, { ...term, system: '' }] : [term];
}

function assertShape(spot: PrimitiveSpot, value: Json, staysClear: boolean): void {
  const { path, element } = spot;
  if (spot.context.sealed && !hasShape(element.type, value))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is not a legal ${element.type}.` });
  if (!staysClear || typeof value !== 'string') return;
  // In clear it could not be told from a token that was moved there.
  if (imitatesMark(value))
    throw new KeywardError('FHIR_RESERVED_EXTENSION', { detail: `${path} begins like a mark of the gateway.` });
  if (element.key === 'Reference.reference') assertReference(path, value);
}

/** A conditional reference is a search: its values are as sensitive as what it asks for. */
function assertReference(path: string, reference: string): void {
  const detail = `${path}: resolve a conditional reference to a type that is sealed before sending it.`;
  const query = reference.indexOf('?');
  if (/\s/.test(reference))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `${path} is not a legal reference.` });
  if (query < 0) return;
  const type = reference.slice(0, query).split('/').at(-1) ?? '';
  if (!isResourceType(type) || sealsByDefault(type)) throw new KeywardError('FHIR_RESOURCE_INVALID', { detail });
}
