/** Compiles profiles (StructureDefinition snapshots) into constraints; what cannot be checked is refused by name. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../../marks.ts';
import { isPrimitive } from '../../primitives.ts';
import { type Element, holdsResource, isResourceType } from '../../structure.ts';
import { type Rule, ruleMap } from '../rules.ts';
import type { Constraint, ProfileRef, Slice, Slicing, ValueRule } from './constraint.ts';
import { discriminate } from './discriminators.ts';
import { type Library, list, plainUrl, unusable } from './library.ts';
import { variantsOf } from './occurrences.ts';
import { readSnapshot, type SnapshotElement } from './snapshot.ts';
import { valueRules } from './value-rules.ts';

const CORE = 'http://hl7.org/fhir/StructureDefinition/';
const SIMPLE_QUANTITY = `${CORE}SimpleQuantity`;

const NO_COMPARATOR: ValueRule = {
  rule: 'must have no comparator',
  holds: (value) => !isObject(value) || value['comparator'] === undefined,
  distinguishes: false,
  example: undefined,
};

export class Compiler {
  readonly #library: Library;
  readonly #unchecked: ReadonlySet<string>;
  readonly #refs = new Map<string, ProfileRef>();
  readonly #waiting: ProfileRef[] = [];
  readonly #links: (() => void)[] = [];
  /** Url → where it is referred to, of what is neither given nor named as unchecked. */
  readonly #missing = new Map<string, string>();

  constructor(library: Library, unchecked: ReadonlySet<string>) {
    this.#library = library;
    this.#unchecked = unchecked;
  }

  /** Profiles by their urls, and everything they refer to. @throws KeywardError `FHIR_PROFILE_UNUSABLE` */
  compile(urls: readonly string[]): Constraint[] {
    const refs = urls.map((url) => this.#ref(url));
    for (let next = this.#waiting.pop(); next; next = this.#waiting.pop()) next.root = this.#root(next.url);
    this.#assertComplete();
    // Only now every profile that a discriminator may look into is there.
    for (const link of this.#links.splice(0)) link();
    return refs.map(({ root }) => root as Constraint);
  }

  /** All at once, so that the operator need not start once for each. */
  #assertComplete(): void {
    const [first] = this.#missing;
    if (!first) return;
    const urls = [...this.#missing.keys()].toSorted().join(', ');
    throw unusable(
      first[1],
      `give these definitions too (value sets with their codes), or name them under unchecked: ${urls}.`,
    );
  }

  #ref(url: string): ProfileRef {
    const known = this.#refs.get(url);
    if (known) return known;
    const ref: ProfileRef = { url, root: undefined };
    this.#refs.set(url, ref);
    this.#waiting.push(ref);
    return ref;
  }

  #root(url: string): Constraint {
    const structure = this.#library.structure(url) as JsonObject;
    const element = readSnapshot(url, structure);
    const type = structure['type'];
    if (typeof type !== 'string' || element.label !== type)
      throw unusable(url, 'its type is not that of its snapshot.');
    const around = { url, element, type };
    return { ...EMPTY, label: type, stem: type, rules: [], children: this.#children(around) };
  }

  #children({ url, element, type }: Here): Constraint[] {
    return element.children.flatMap((child) => {
      const constraint = this.#constraint({ url, element: child, type });
      return isIdle(constraint) ? [] : [constraint];
    });
  }

  /** @param here `type` is the one that has the element */
  #constraint(here: Here): Constraint {
    const { element, type, url } = here;
    const [name = ''] = element.label.split(':');
    const variants = variantsOf(type, name);
    if (variants.length === 0) throw unusable(url, `R4 has no ${element.id}.`);
    const core = ruleMap(type).get(variants[0]?.stem ?? '');
    const where = `${url}#${element.id}`;
    const types = list(element.definition, 'type');
    const allowed = allowedOf(types, variants);
    const isSlice = element.label.includes(':');
    const left = allowed ? variants.filter((variant) => allowed.has(variant.name)) : variants;
    const inner = innerType(left.length > 0 ? left : variants, types);
    return {
      label: element.label,
      stem: variants[0]?.stem ?? name,
      variants,
      allowed:
        allowed && left.length === variants.length && !holdsResource(variants[0]?.type ?? '') ? undefined : allowed,
      ...cardinality(element.definition, variants, isSlice ? undefined : core),
      rules: [
        ...valueRules(element.definition, {
          library: this.#library,
          where,
          unchecked: this.#unchecked,
          missing: this.#missing,
          coreSet: core?.setName ?? '',
        }),
        ...(isNewlySimple(types, core) ? [NO_COMPARATOR] : []),
      ],
      targets: this.#targets(types, core, where),
      profiles: this.#profiles(types, variants, where),
      children: this.#inner(here, inner),
      slicing: this.#slicing(here),
    };
  }

  #inner(here: Here, type: string | undefined): Constraint[] {
    const { element, url } = here;
    if (element.children.length === 0) return [];
    if (type === undefined) throw unusable(url, `${element.id} has members, and more than one type.`);
    return this.#children({ ...here, type });
  }

  #slicing(here: Here): Slicing | undefined {
    const { element, url } = here;
    if (element.slices.length === 0) return undefined;
    const { slicing } = element.definition;
    const where = `${url}#${element.id}`;
    if (!isObject(slicing)) throw unusable(where, 'it has slices, and does not say how they are told apart.');
    const rules = slicing['rules'];
    if (rules === 'openAtEnd') throw unusable(where, 'slicing that is open at the end only is not supported.');
    const slices = element.slices.map((slice): Slice => {
      if (slice.slices.length > 0) throw unusable(where, 'slices of slices are not supported.');
      return { constraint: this.#constraint({ ...here, element: slice }), matches: () => false };
    });
    this.#links.push(() => {
      for (const slice of slices) slice.matches = discriminate(slice.constraint, list(slicing, 'discriminator'), where);
    });
    return { closed: rules === 'closed', ordered: slicing['ordered'] === true, slices };
  }

  /** Undefined where any type may be referred to, or the same as in R4. */
  #targets(types: readonly JsonObject[], core: Rule | undefined, where: string): ReadonlySet<string> | undefined {
    const urls = types.filter(({ code }) => code === 'Reference').flatMap((type) => texts(type['targetProfile']));
    const targets = urls.map((url) => this.#targetType(plainUrl(url), where));
    if (targets.length === 0 || targets.includes(undefined)) return undefined;
    const set = new Set(targets.flatMap((target) => target ?? []));
    return core?.targets?.isSubsetOf(set) ? undefined : set;
  }

  /** Undefined: any, or not checked. */
  #targetType(url: string, where: string): string | undefined {
    const name = url.startsWith(CORE) ? url.slice(CORE.length) : '';
    if (name === 'Resource') return undefined;
    if (isResourceType(name)) return name;
    const type = this.#library.structure(url)?.['type'];
    if (typeof type === 'string') return type;
    if (!this.#unchecked.has(url)) this.#missing.set(url, where);
    return undefined;
  }

  #profiles(
    types: readonly JsonObject[],
    variants: readonly Element[],
    where: string,
  ): ReadonlyMap<string, readonly ProfileRef[]> {
    const profiles = new Map<string, ProfileRef[]>();
    for (const type of types) {
      const urls = texts(type['profile'])
        .map(plainUrl)
        .filter((url) => url !== SIMPLE_QUANTITY && !isResourceType(url.slice(CORE.length)));
      const variant = variants.find((candidate) => isOfType(candidate, type['code'])) ?? variants[0];
      if (urls.length === 0 || !variant) continue;
      profiles.set(
        variant.name,
        urls.map((url) => this.#known(url, where)),
      );
    }
    return profiles;
  }

  /** An unchecked one stays without constraints; its url still tells extensions apart. */
  #known(url: string, where: string): ProfileRef {
    if (this.#library.structure(url)) return this.#ref(url);
    if (!this.#unchecked.has(url)) this.#missing.set(url, where);
    return { url, root: undefined };
  }
}

/** An element of a profile, in the type that has it. */
interface Here {
  readonly url: string;
  readonly element: SnapshotElement;
  readonly type: string;
}

const EMPTY = {
  variants: [],
  allowed: undefined,
  min: 0,
  max: Infinity,
  targets: undefined,
  profiles: new Map<string, readonly ProfileRef[]>(),
  slicing: undefined,
};

const texts = (value: Json | undefined): string[] =>
  (Array.isArray(value) ? (value as readonly Json[]) : []).filter((text) => typeof text === 'string');

const isIdle = ({ min, max, allowed, rules, targets, profiles, children, slicing }: Constraint): boolean =>
  min === 0 &&
  max === Infinity &&
  allowed === undefined &&
  rules.length === 0 &&
  targets === undefined &&
  profiles.size === 0 &&
  children.length === 0 &&
  slicing === undefined;

/** What R4 asks for anyway is left out. */
function cardinality({ min, max }: JsonObject, variants: readonly Element[], core: Rule | undefined) {
  const [least, most] = [Number(min ?? 0), max === '*' || max === undefined ? Infinity : Number(max)];
  const isList = variants[0]?.list === true;
  return { min: core?.required && least === 1 ? 0 : least, max: !isList && most === 1 ? Infinity : most };
}

const isOfType = (variant: Element, code: Json | undefined): boolean =>
  variant.type === code ||
  (code === 'BackboneElement' && variant.type.includes('.')) ||
  (code === 'Element' && variant.type.includes('.'));

/** Names of choices, or types of a nested resource; undefined where the type is not a question. */
function allowedOf(types: readonly JsonObject[], variants: readonly Element[]): ReadonlySet<string> | undefined {
  const [first] = variants;
  const codes = texts(types.map(({ code }) => code ?? null));
  if (!first || codes.length === 0) return undefined;
  if (holdsResource(first.type)) return codes.includes('Resource') ? undefined : new Set(codes);
  if (first.stem === first.name) return undefined;
  return new Set(variants.filter((variant) => codes.some((code) => isOfType(variant, code))).map(({ name }) => name));
}

/** The type whose members the children of an element are; undefined when it is not known which. */
function innerType(left: readonly Element[], types: readonly JsonObject[]): string | undefined {
  const [only, ...more] = left;
  if (!only || more.length > 0) return undefined;
  if (!holdsResource(only.type)) return isPrimitive(only.type) ? 'Element' : only.type;
  const [code, ...codes] = texts(types.map((type) => type['code'] ?? null));
  return codes.length === 0 && code !== undefined && isResourceType(code) ? code : undefined;
}

const isNewlySimple = (types: readonly JsonObject[], core: Rule | undefined): boolean =>
  core?.simple !== true && types.some((type) => texts(type['profile']).includes(SIMPLE_QUANTITY));
