/** What happens to each element of a resource: Keyward's rules and, before them, the operator's overrides, as one value that is passed along. */
import { createHash } from 'node:crypto';
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { CLEAR_ELEMENTS, CLEAR_TYPES } from './clear.ts';
import type { JsonObject } from './marks.ts';
import { type Choice, NO_OVERRIDES, type OverridePlace, type Overrides } from './overrides.ts';
import {
  base64,
  CONTACT_RULES,
  CONTEXTS,
  EXTENSION_CONTEXTS,
  omit,
  PERSON_TYPES,
  type Rule,
  RULES,
  seal,
  year,
} from './rules.ts';
import type { Element } from './structure.ts';
import type { FieldClass, PrefixedClass } from './types.ts';

/** Where an element stands changes what its parts may tell. */
export interface Context {
  readonly sealed: boolean;
  /** Class of texts and binaries that no rule names, extensions above all. */
  readonly fieldClass: FieldClass;
  /** Dates are those of a person's life: only their year stays. */
  readonly datesAreBirth: boolean;
  /** Nothing stays clear, whatever its type. */
  readonly everything: boolean;
  /** The resource is a person: a date in an extension may be a birth date under another name. */
  readonly person: boolean;
  /** Servers write into `meta` and carry it from version to version: no override reaches it. */
  readonly inMeta: boolean;
  /** What the overrides say about the elements here; undefined where they name none. */
  readonly place: OverridePlace | undefined;
}

/** An element of a primitive type: what it is, where it stands, and what stands beside it. */
export interface Spot {
  readonly element: Element;
  readonly context: Context;
  readonly siblings: JsonObject;
}

export interface Catalogue {
  /** Short name of its content; a part of `RootSeal.policy`. */
  readonly version: string;
  /** Dates longer ago than this keep no year (45 CFR 164.514(b)(2)(i)(C)); undefined: all keep it. */
  readonly hideYearAboveAge: number | undefined;
  /** Those that stored records may have been written under, besides this one and Keyward's own. */
  readonly earlier: readonly Catalogue[];
  /** Names that are found by their beginnings; changes what is searched by, not what is sealed. */
  readonly prefixes: ReadonlySet<PrefixedClass>;
  /** Whether resources of a type are sealed as a whole: every text, unless a rule says otherwise. */
  readonly seals: (resourceType: string) => boolean;
  /** Whether anything of a type that stands alone may be sealed. */
  readonly touches: (resourceType: string) => boolean;
  /** Context of a resource: inside a sealed one everything is sealed, whatever its own type. */
  readonly contextOfResource: (outer: Context | undefined, resourceType: string) => Context;
  /** Context of what is inside an element: its parts, or what stands beside a primitive (`_birthDate`). */
  readonly contextInside: (outer: Context, element: Element, part: JsonObject) => Context;
  /** The rule for an element; undefined where it stays clear. */
  readonly ruleOf: (spot: Spot) => Rule | undefined;
  /** The catalogue that a root's policy names: this one, an earlier one, or Keyward's own. @throws KeywardError `GATEWAY_CATALOGUE_UNKNOWN` */
  readonly named: (policy: string) => Catalogue;
}

/** @param earlier overrides that were in use before, so that what was sealed under them opens */
export function createCatalogue(
  overrides: Overrides = NO_OVERRIDES,
  earlier: readonly Overrides[] = [],
  prefixes: readonly PrefixedClass[] = [],
): Catalogue {
  const predecessors = earlier.map((one) => createCatalogue(one));
  const version = versionOf(overrides);
  const seals = (type: string) => overrides.types.get(type) ?? sealsByDefault(type);
  const placesWithin = new Set([...overrides.places.keys()].map((owner) => owner.split('.')[0]));
  const catalogue: Catalogue = {
    version,
    hideYearAboveAge: overrides.hideYearAboveAge,
    earlier: predecessors,
    prefixes: new Set(prefixes),
    seals,
    touches: (type) => seals(type) || placesWithin.has(type),
    contextOfResource: (outer, type) => ({
      sealed: (outer?.sealed ?? false) || seals(type),
      fieldClass: 'freeText',
      datesAreBirth: false,
      everything: false,
      person: PERSON_TYPES.has(type),
      inMeta: false,
      place: overrides.places.get(type),
    }),
    contextInside: (outer, element, part) => contextInside(overrides, outer, element, part),
    ruleOf: (spot) => ruleOf(overrides, spot),
    named(policy) {
      const name = CATALOGUE_IN_POLICY.exec(policy)?.[1] ?? KEYWARDS_OWN.version;
      const found = [catalogue, ...predecessors, KEYWARDS_OWN].find((one) => one.version === name);
      if (found) return found;
      throw new KeywardError('GATEWAY_CATALOGUE_UNKNOWN', { detail: `Catalogue ${name}.` });
    },
  };
  return catalogue;
}

/** `access.catalogue`; what was sealed before there were catalogues names the access policy alone. */
const CATALOGUE_IN_POLICY = /\.([^.]*)$/;

/** Types that are about a patient, or may be. */
export const sealsByDefault = (resourceType: string): boolean => !CLEAR_TYPES.has(resourceType);

const VERSION_CHARS = 12;

/** Over Keyward's own rules too: what was sealed under other ones must not be read by these. */
function versionOf({ canonical }: Overrides): string {
  const own = [RULES, CONTACT_RULES, CONTEXTS, [...EXTENSION_CONTEXTS], [...PERSON_TYPES]];
  const clear = [[...CLEAR_TYPES].sort(), [...CLEAR_ELEMENTS].sort()];
  const content = JSON.stringify([own, clear, canonical]);
  return createHash('sha256').update(content).digest('hex').slice(0, VERSION_CHARS);
}

function contextInside(overrides: Overrides, outer: Context, element: Element, part: JsonObject): Context {
  const { key, name, type } = element;
  if (type === 'Extension') return contextOfExtension(overrides, outer, part['url']);
  const change = CONTEXTS[key] ?? CONTEXTS[type];
  const place = overrides.places.get(type) ?? outer.place?.inside.get(name);
  const inMeta = outer.inMeta || type === 'Meta';
  const isSame = change === undefined && place === outer.place && inMeta === outer.inMeta;
  return isSame ? outer : { ...outer, ...change, place, inMeta };
}

function contextOfExtension(overrides: Overrides, outer: Context, url: Json | undefined): Context {
  const name = typeof url === 'string' ? url : '';
  return {
    ...outer,
    datesAreBirth: outer.datesAreBirth || outer.person,
    // Geolocation and the parts of a street line come as extensions of an address, in types of their own.
    everything: outer.everything || outer.fieldClass === 'address',
    place:
      outer.sealed && !outer.inMeta ? (outer.place?.extensions.get(name) ?? overrides.extensions.get(name)) : undefined,
    ...EXTENSION_CONTEXTS.get(name),
  };
}

function ruleOf(overrides: Overrides, { element, context, siblings }: Spot): Rule | undefined {
  const { key, name, type } = element;
  const chosen = context.place?.rules.get(name) ?? ofDatatype(overrides, key, context);
  if (chosen !== undefined) return chosen === 'clear' ? undefined : chosen;
  if (!context.sealed || name === 'id' || key === 'Extension.url') return undefined;
  if (key === 'ContactPoint.value') return contactRule(siblings) ?? RULES[key];
  if (RULES[key]) return RULES[key];
  if (CLEAR_ELEMENTS.has(key) && !context.everything) return undefined;
  return defaultRule(type, context);
}

const ofDatatype = ({ datatypes }: Overrides, key: string, { sealed, inMeta }: Context): Choice | undefined =>
  sealed && !inMeta && datatypes.size > 0 ? datatypes.get(key) : undefined;

function contactRule(siblings: JsonObject): Rule | undefined {
  const system = siblings['system'];
  return typeof system === 'string' && Object.hasOwn(CONTACT_RULES, system) ? CONTACT_RULES[system] : undefined;
}

const DATES: ReadonlySet<string> = new Set(['date', 'dateTime']);
const MOMENTS: ReadonlySet<string> = new Set(['instant', 'time']);

/** Every text is sealed unless clear.ts names it; what is not text stays clear unless its context says otherwise. */
function defaultRule(datatype: string, { fieldClass, datesAreBirth, everything }: Context): Rule | undefined {
  if (datatype === 'string' || datatype === 'markdown') return seal(fieldClass);
  if (datatype === 'base64Binary') return base64(fieldClass === 'freeText' ? 'media' : fieldClass);
  if (datatype === 'xhtml') return { treatment: 'narrative', fieldClass: 'narrative' };
  if (datatype === 'url') return omit(fieldClass === 'freeText' ? 'contact' : fieldClass);
  if (everything) return omit(fieldClass);
  if (datesAreBirth && DATES.has(datatype)) return year('birthDate');
  if (datesAreBirth && MOMENTS.has(datatype)) return omit('birthDate');
  return undefined;
}

/** Keyward's own rules, without overrides. */
export const KEYWARDS_OWN: Catalogue = createCatalogue();
