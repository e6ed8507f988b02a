/** What R4 demands of the members of each type, compiled once from the generated tables. */
import presence from '../generated/presence.json' with { type: 'json' };
import rules from '../generated/rules.json' with { type: 'json' };
import { isPrimitive } from '../primitives.ts';
import { type Element, elementsOf, holdsResource } from '../structure.ts';
import { compilePresence, type PresenceRule } from './presence.ts';
import { coreValueSet, type ValueSet } from './value-sets.ts';
import { type ValueTest, valueTest } from './values.ts';

export interface Rule {
  readonly required: boolean;
  /** A quantity that may not say "less than" (profile SimpleQuantity of R4 itself). */
  readonly simple: boolean;
  readonly set: ValueSet | undefined;
  readonly setName: string;
  /** Types a reference may point at; undefined: any. */
  readonly targets: ReadonlySet<string> | undefined;
}

/** A member of an object: the element itself, or what stands beside a primitive (`_family`). */
export interface Member extends Rule {
  readonly element: Element;
  readonly beside: boolean;
  /** Set where the member is a value in itself. */
  readonly test: ValueTest | undefined;
  readonly holdsResource: boolean;
  readonly choice: boolean;
  /** 0 where nothing depends on whether it is there. */
  readonly bit: number;
}

export interface TypeRules {
  readonly members: ReadonlyMap<string, Member>;
  readonly isResource: boolean;
  /** Bits of the elements that must be there. */
  readonly required: number;
  readonly requiredStems: readonly (readonly [bit: number, stem: string])[];
  readonly presence: readonly (readonly [key: string, rule: PresenceRule])[];
}

const RULES: ReadonlyMap<string, string> = new Map(Object.entries(rules));
const PRESENCE: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  Object.entries(presence as Record<string, Record<string, string>>),
);
const compiled = new Map<string, TypeRules>();

/** Undefined for names that are no type with members. */
export function rulesOf(type: string): TypeRules | undefined {
  const known = compiled.get(type);
  if (known) return known;
  const elements = elementsOf(type);
  if (!elements) return undefined;
  const built = compileType(type, [...elements.values()]);
  compiled.set(type, built);
  return built;
}

const ENTRY = /^(?<stem>\w+)(?<required>!?)(?<simple>~?)(?:=(?<set>[\w.-]+))?(?:>(?<targets>.+))?$/;
const NO_RULE: Rule = { required: false, simple: false, set: undefined, setName: '', targets: undefined };

/** By stem. */
export function ruleMap(type: string): ReadonlyMap<string, Rule> {
  return new Map((RULES.get(type)?.split(' ') ?? []).map(parseEntry));
}

function parseEntry(entry: string): [string, Rule] {
  const { stem = '', required, simple, set, targets } = ENTRY.exec(entry)?.groups ?? {};
  const rule = {
    required: required === '!',
    simple: simple === '~',
    set: set === undefined ? undefined : coreValueSet(set),
    setName: set ?? '',
    targets: targets === undefined ? undefined : new Set(targets.split('|')),
  };
  return [stem, rule];
}

function compileType(type: string, elements: readonly Element[]): TypeRules {
  const byStem = ruleMap(type);
  const texts = Object.entries(PRESENCE.get(type) ?? {});
  const bits = bitsOf(elements, byStem, texts);
  const presenceRules = texts.map(
    ([key, text]) => [key, compilePresence(text, (stem) => bits.get(stem) ?? 0)] as const,
  );
  const requiredStems = [...byStem].flatMap(([stem, { required }]) =>
    required ? [[bits.get(stem) ?? 0, stem] as const] : [],
  );
  return {
    members: new Map(elements.flatMap((element) => membersOf(element, byStem, bits))),
    isResource: holdsResource(type),
    required: requiredStems.reduce((mask, [bit]) => mask | bit, 0),
    requiredStems,
    presence: presenceRules,
  };
}

/** One bit for every stem that is required, a choice, or named by a rule on presence: at most 31 in any type of R4. */
function bitsOf(
  elements: readonly Element[],
  byStem: ReadonlyMap<string, Rule>,
  texts: readonly (readonly [string, string])[],
): Map<string, number> {
  const named = new Set(texts.flatMap(([, text]) => text.match(/[a-z]\w*(?=\.(?:exists|empty))/g) ?? []));
  const stems = new Set(
    elements
      .filter(({ stem, name }) => stem !== name || named.has(stem) || byStem.get(stem)?.required)
      .map(({ stem }) => stem),
  );
  return new Map([...stems].map((stem, index) => [stem, 1 << index]));
}

function membersOf(
  element: Element,
  byStem: ReadonlyMap<string, Rule>,
  bits: ReadonlyMap<string, number>,
): [string, Member][] {
  const primitive = isPrimitive(element.type);
  const member: Member = {
    ...(byStem.get(element.stem) ?? NO_RULE),
    element,
    beside: false,
    test: primitive ? valueTest(element.type) : undefined,
    holdsResource: holdsResource(element.type),
    choice: element.stem !== element.name,
    bit: bits.get(element.stem) ?? 0,
  };
  const besideIt: [string, Member][] = primitive
    ? [[`_${element.name}`, { ...member, beside: true, test: undefined }]]
    : [];
  return [[element.name, member], ...besideIt];
}
