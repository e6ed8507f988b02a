/** Plans the opening of one resource that came back: which tokens it holds, and what a reader is shown in their places. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { Catalogue, Context } from './catalogue.ts';
import {
  asSubsetted,
  imitatesMark,
  INDEX_SYSTEM,
  isObject,
  isToken,
  type JsonObject,
  maskedExtension,
  readRoot,
  ROOT_URL,
  SEALED_URL,
  splitExtensions,
} from './marks.ts';
import type { Rule } from './rules.ts';
import { type Element, elementsOf, isResourceType } from './structure.ts';
import { tokenInValue, TREATMENTS } from './treatments.ts';
import type { Disclosure, FhirResource, OpenPlan, OpenSite, RootSeal } from './types.ts';
import { type Primitive, rewriteResource, type Visitor } from './walk.ts';

/**
 * The upstream is not trusted: a mark in the wrong place, a token that is missing or a shape that sealing never writes is tampering.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC`; for a resource that was never sealed `GATEWAY_UPSTREAM_INVALID`; `GATEWAY_CATALOGUE_UNKNOWN`
 */
export function planOpen(resource: FhirResource, catalogue: Catalogue): OpenPlan {
  if (!isResourceType(resource.resourceType)) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const { root, rest } = takeRoot(resource);
  const sites: OpenSite[] = [];
  const rules = root ? catalogue.named(root.policy) : catalogue;
  const walk = (disclose: Disclose) => rewriteResource(rest, openingVisitor(root !== undefined, disclose, rules));
  // One walk before anything is opened, so that tampering shows before a key is asked for.
  walk((site) => void sites.push(site));
  return { root, sites, apply: (disclosures) => writeOpened(sites.length, disclosures, walk) };
}

/**
 * Whether a resource was not written through the gateway: it has no root although its type is sealed, so that even its emptiness would
 * be proved, or it holds, unsealed, what sealing would have sealed. A type that an earlier catalogue left clear may still stand as it
 * was written then.
 */
export function holdsUnsealed(resource: FhirResource, catalogue: Catalogue): boolean {
  const { root, rest } = takeRoot(resource);
  if (root !== undefined) return false;
  const then = catalogue.earlier.filter(({ seals }) => !seals(resource.resourceType));
  return [catalogue, ...then].every((rules) => rules.seals(resource.resourceType) || holdsRuled(rest, rules));
}

/** Whether any element of a resource has a rule. */
function holdsRuled(resource: FhirResource, catalogue: Catalogue): boolean {
  let found = false;
  rewriteResource(resource, {
    catalogue,
    flaw: flawOf(false),
    primitive(spot, { value, companion }, inside) {
      found ||= value !== undefined && catalogue.ruleOf(spot) !== undefined;
      return { value, companion: companion && inside(companion) };
    },
  });
  return found;
}

type Disclose = (site: OpenSite) => Disclosure | undefined | void;

function writeOpened(
  siteCount: number,
  disclosures: readonly Disclosure[],
  walk: (disclose: Disclose) => FhirResource,
): FhirResource {
  if (disclosures.length !== siteCount) throw new KeywardError('CORE_INTERNAL');
  let next = 0;
  const opened = walk(() => disclosures[next++]);
  return disclosures.every(({ kind }) => kind === 'open') ? opened : asSubsetted(opened);
}

/** The root extension, and the resource without it. */
function takeRoot(resource: FhirResource): { root: RootSeal | undefined; rest: FhirResource } {
  const inMeta = !elementsOf(resource.resourceType)?.has('extension');
  const meta = resource['meta'];
  const holder = inMeta ? meta : resource;
  const { ours, others } = splitExtensions(isObject(holder) ? holder['extension'] : undefined, ROOT_URL);
  const [first, ...more] = ours;
  if (!first || !isObject(holder)) return { root: undefined, rest: resource };
  if (more.length > 0) throw new KeywardError('SEAL_NOT_AUTHENTIC');
  const stripped = withExtensions(holder, others);
  const rest = inMeta ? { ...resource, meta: stripped } : stripped;
  return { root: readRoot(first), rest: withoutEmptyMeta(rest as FhirResource) };
}

function withExtensions(object: JsonObject, extensions: readonly Json[]): JsonObject {
  if (extensions.length > 0) return { ...object, extension: extensions };
  const { extension: _none, ...rest } = object;
  return rest;
}

function withoutEmptyMeta(resource: FhirResource): FhirResource {
  const { meta, ...rest } = resource;
  return isObject(meta) && Object.keys(meta).length === 0 ? rest : resource;
}

function openingVisitor(sealed: boolean, disclose: Disclose, catalogue: Catalogue): Visitor {
  const flaw = flawOf(sealed);
  return {
    catalogue,
    flaw,
    primitive(spot, found, inside) {
      const rule = sealed ? catalogue.ruleOf(spot) : undefined;
      const { ours, others } = splitExtensions(found.companion?.['extension'], SEALED_URL);
      const beside =
        found.companion && others.length + ours.length > 0 ? withExtensions(found.companion, others) : found.companion;
      const companion = beside && Object.keys(beside).length > 0 ? inside(beside) : undefined;
      const token = rule ? tokenOf(rule, found.value, ours) : undefined;
      if (!rule || token === undefined) return { value: assertClear(found.value, ours), companion };
      const { path, position, element } = spot;
      const disclosure = disclose({ path, position, datatype: element.type, fieldClass: rule.fieldClass, token });
      return shown(rule, found.value, companion, disclosure ?? { kind: 'withhold' });
    },
    beforeList: (element, entries, context) =>
      sealed && hasShadows(element, context, catalogue) ? entries.filter(isNotShadow) : entries,
  };
}

/** Servers add members of their own to what they store: these are not passed on. Anything else that is not R4 was not written by us. */
export function flawOf(sealed: boolean): Visitor['flaw'] {
  return (_path, flaw, value) => {
    if (flaw === 'unknown') return undefined;
    if (flaw === 'empty') return value ?? undefined;
    throw new KeywardError(sealed ? 'SEAL_NOT_AUTHENTIC' : 'GATEWAY_UPSTREAM_INVALID');
  };
}

/** Only where identifiers are indexed does sealing write shadows. */
export function hasShadows(list: Element, outer: Context, catalogue: Catalogue): boolean {
  const element = list.type === 'Identifier' ? elementsOf('Identifier')?.get('value') : undefined;
  if (!element) return false;
  const context = catalogue.contextInside(outer, list, {});
  return catalogue.ruleOf({ element, context, siblings: {} })?.treatment === 'index';
}

const isNotShadow = (entry: Json): boolean => !isObject(entry) || entry['system'] !== INDEX_SYSTEM;

/** The token of an element that has a rule; undefined where the element has neither value nor token. */
function tokenOf(rule: Rule, value: Json | undefined, ours: readonly JsonObject[]): string | undefined {
  if (value === undefined && ours.length === 0) return undefined;
  const inExtension = ours.length === 1 ? ours[0]?.['valueString'] : undefined;
  const inPlace = TREATMENTS[rule.treatment].read !== undefined;
  const token = inPlace && ours.length === 0 ? tokenInValue(rule.treatment, value) : inPlace ? undefined : inExtension;
  if (!isToken(token)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
  return token;
}

function assertClear(value: Json | undefined, ours: readonly JsonObject[]): Json | undefined {
  if (ours.length > 0 || (typeof value === 'string' && imitatesMark(value)))
    throw new KeywardError('SEAL_NOT_AUTHENTIC');
  return value;
}

export function shown(
  rule: Rule,
  stored: Json | undefined,
  companion: JsonObject | undefined,
  disclosure: Disclosure,
): Primitive {
  const isText = rule.treatment === 'seal' || rule.treatment === 'index';
  // A mask is a text: in the place of a date, of data or of XHTML it would not be FHIR, so the value is withheld instead.
  if (disclosure.kind === 'open' || (disclosure.kind === 'mask' && isText))
    return { value: disclosure.value, companion };
  const value = TREATMENTS[rule.treatment].withheld(stored);
  if (value !== undefined) return { value, companion };
  const extensions = Array.isArray(companion?.['extension']) ? (companion['extension'] as readonly Json[]) : [];
  return { value: undefined, companion: { ...companion, extension: [...extensions, maskedExtension] } };
}
