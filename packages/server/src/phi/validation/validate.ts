/** Validates one resource against R4 itself: one pass that reads it, and copies nothing. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../marks.ts';
import { isResourceType } from '../structure.ts';
import type { FhirResource } from '../types.ts';
import { typeInReference } from './references.ts';
import { type Member, rulesOf, type TypeRules } from './rules.ts';
import { isOfSet } from './value-sets.ts';
import { type Violation, Violations } from './violations.ts';

/** Type of the resource that a name stands for which another entry of the same bundle gave it (`urn:uuid:…`). */
export type TypeOfName = (name: string) => string | undefined;

/** What a resource violates of R4; empty: nothing that is checked here. At most MAX_VIOLATIONS. */
export function validateResource(resource: FhirResource, typeOfName: TypeOfName = () => undefined): Violation[] {
  const pass = new Pass(typeOfName);
  pass.resource(resource, []);
  return pass.violations.found;
}

class Pass {
  readonly violations = new Violations();
  readonly #typeOfName: TypeOfName;
  readonly #path: (string | number)[] = [];
  /** The resource whose `contained` a `#name` is looked for in. */
  #container: JsonObject = {};
  #locals: ReadonlyMap<string, Json> | undefined;

  constructor(typeOfName: TypeOfName) {
    this.#typeOfName = typeOfName;
  }

  resource(resource: JsonObject, path: readonly (string | number)[]): void {
    const type = resource['resourceType'];
    const rules = typeof type === 'string' && isResourceType(type) ? rulesOf(type) : undefined;
    if (!rules) return this.#report('must be a resource of R4');
    if (path.length === 0) this.#path.push(type as string);
    const before = this.#container;
    this.#enter(resource);
    this.#object(resource, rules);
    this.#enter(before);
  }

  #enter(container: JsonObject): void {
    this.#container = container;
    this.#locals = undefined;
  }

  /** A resource inside another is of it: it holds none itself and has no versions of its own (dom-2, dom-4, dom-5). */
  #contained(resource: JsonObject): void {
    const type = resource['resourceType'];
    const rules = typeof type === 'string' && isResourceType(type) ? rulesOf(type) : undefined;
    if (!rules) return this.#report('must be a resource of R4');
    if (resource['contained'] !== undefined) this.#report('must not contain another resource (dom-2)');
    const meta = resource['meta'];
    if (isObject(meta)) {
      if (meta['versionId'] !== undefined || meta['lastUpdated'] !== undefined)
        this.#report('must not have a version or a time of its own (dom-4)');
      if (meta['security'] !== undefined) this.#report('must not have a security label (dom-5)');
    }
    this.#object(resource, rules);
  }

  #object(object: JsonObject, rules: TypeRules): void {
    let present = 0;
    let isEmpty = true;
    for (const name in object) {
      isEmpty = false;
      const member = rules.members.get(name);
      if (!member) {
        // Its name may be anybody's text, so only its place is told.
        if (name !== 'resourceType' || !rules.isResource) this.#report('must have no member that R4 does not define');
        continue;
      }
      const { bit } = member;
      if (bit !== 0) {
        if (member.choice && (present & bit) !== 0) this.#assertOneOf(object, member);
        present |= bit;
      }
      this.#path.push(member.element.name);
      this.#member(object[name] as Json, member, object);
      this.#path.pop();
    }
    if (isEmpty) this.#report('must not be empty');
    if ((present & rules.required) !== rules.required)
      for (const [bit, stem] of rules.requiredStems) if ((present & bit) === 0) this.#reportIn(stem, 'must be there');
    for (const [key, holds] of rules.presence) if (!holds(present)) this.#report(`must satisfy ${key}`);
  }

  /** `valueString` beside `_valueString` is one of them; `valueString` beside `valueCode` is not. */
  #assertOneOf(object: JsonObject, { element }: Member): void {
    const others = Object.keys(object).filter((name) => this.#isOther(name, element.stem, element.name));
    if (others.length > 0) this.#reportIn(`${element.stem}[x]`, 'must have one type only');
  }

  #isOther(member: string, stem: string, name: string): boolean {
    const plain = member.replace(/^_/, '');
    return plain !== name && plain.startsWith(stem) && /^[A-Z]/.test(plain.slice(stem.length));
  }

  #member(value: Json, member: Member, owner: JsonObject): void {
    if (!member.element.list) return this.#value(value, member);
    if (!Array.isArray(value)) return this.#report('must be a list');
    const entries = value as readonly Json[];
    if (entries.length === 0) return this.#report('must not be empty');
    for (const [index, entry] of entries.entries()) {
      this.#path.push(index);
      if (entry !== null) this.#value(entry, member);
      else if (!hasPartner(owner, member, index)) this.#report('must not be empty');
      this.#path.pop();
    }
  }

  #value(value: Json, member: Member): void {
    if (member.test) return this.#primitive(value, member);
    if (!isObject(value)) return this.#report('must be an object');
    if (member.beside) return this.#object(value, rulesOf('Element') as TypeRules);
    if (member.holdsResource)
      return member.element.stem === 'contained' ? this.#contained(value) : this.resource(value, this.#path);
    this.#object(value, rulesOf(member.element.type) as TypeRules);
    if (member.set && !isOfSet(value, member.set)) this.#report(`must be a code of ${member.setName}`);
    if (member.simple && value['comparator'] !== undefined) this.#report('must have no comparator');
    if (member.element.type === 'Reference') this.#reference(value, member);
  }

  #primitive(value: Json, member: Member): void {
    if (!member.test?.(value)) this.#report(`must be a legal ${nameOfType(member.element.type)}`);
    else if (member.set && !member.set.hasCode(value as string)) this.#report(`must be a code of ${member.setName}`);
  }

  #reference({ reference, type }: JsonObject, { targets }: Member): void {
    const text = textIn(reference);
    const isLocal = text.startsWith('#');
    const local = isLocal ? this.#localTypes().get(text) : undefined;
    if (isLocal && local === undefined) return this.#report('must name a contained resource (ref-1)');
    if (!targets) return;
    const byName = text === '' ? undefined : (typeInReference(text) ?? this.#typeOfName(text));
    const named = local ?? byName ?? type;
    if (typeof named === 'string' && isResourceType(named) && !targets.has(named))
      this.#report(`must refer to ${[...targets].join(' or ')}`);
  }

  /** Types of what `#name` may stand for, looked up once for each container: there may be as many names as contained resources. */
  #localTypes(): ReadonlyMap<string, Json> {
    if (this.#locals) return this.#locals;
    const { contained, resourceType } = this.#container;
    const inside = Array.isArray(contained) ? (contained as readonly Json[]).filter(isObject) : [];
    // `#` alone is the resource that contains.
    const locals = new Map([['#', resourceType ?? '']]);
    for (const resource of inside) locals.set(`#${textIn(resource['id'])}`, resource['resourceType'] ?? '');
    this.#locals = locals;
    return locals;
  }

  #report(rule: string): void {
    this.violations.add(this.#path, rule);
  }

  #reportIn(name: string, rule: string): void {
    if (!this.violations.full) this.violations.add([...this.#path, name], rule);
  }
}

/** Lists of values and of what stands beside them have null where one of the two has nothing. */
function hasPartner(owner: JsonObject, { element, test, beside }: Member, index: number): boolean {
  if (!test && !beside) return false;
  const partner = owner[beside ? element.name : `_${element.name}`];
  return Array.isArray(partner) && (partner[index] ?? null) !== null;
}

const textIn = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

const nameOfType = (type: string): string => (type === 'elementId' ? 'id' : type);
