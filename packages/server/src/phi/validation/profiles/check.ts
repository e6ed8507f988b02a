/** Checks a resource against one compiled profile. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../../marks.ts';
import type { FhirResource } from '../../types.ts';
import { typeInReference } from '../references.ts';
import type { TypeOfName } from '../validate.ts';
import { Violations } from '../violations.ts';
import type { Constraint, Occurrence, ProfileRef, Slicing } from './constraint.ts';
import { membersOf, occurrencesOf, typeOf } from './occurrences.ts';

export function checkProfile(
  root: Constraint,
  resource: FhirResource,
  typeOfName: TypeOfName,
  violations = new Violations(),
): Violations {
  new Check(violations, [resource.resourceType], typeOfName).members(root, resource);
  return violations;
}

/** Whether one value is as a constraint demands; how often it may occur is not asked. */
export function conforms(constraint: Constraint, occurrence: Occurrence): boolean {
  const violations = new Violations();
  new Check(violations, [], () => undefined).occurrence(constraint, occurrence);
  return violations.found.length === 0;
}

class Check {
  readonly #violations: Violations;
  readonly #path: (string | number)[];
  readonly #typeOfName: TypeOfName;

  constructor(violations: Violations, path: (string | number)[], typeOfName: TypeOfName) {
    this.#violations = violations;
    this.#path = path;
    this.#typeOfName = typeOfName;
  }

  members({ children }: Constraint, owner: JsonObject): void {
    for (const child of children) {
      const found = occurrencesOf(owner, child.variants);
      this.#count(child, found.length);
      for (const each of found) this.#inside(each, () => this.occurrence(child, each));
      if (child.slicing) this.#slices(child.slicing, found);
    }
  }

  occurrence(constraint: Constraint, found: Occurrence): void {
    const { allowed, rules, targets, profiles } = constraint;
    const { element, value } = found;
    if (allowed && !allowed.has(element.name) && !allowed.has(typeOf(found)))
      return this.#report(`must be one of ${[...allowed].join(', ')}`);
    for (const { rule, holds } of rules) if (!holds(value)) this.#report(rule);
    if (targets && isObject(value)) this.#reference(value, targets);
    const refs = profiles.get(element.name);
    if (refs) this.#profiles(refs, found);
    this.members(constraint, membersOf(found));
  }

  #count({ label, min, max }: Constraint, count: number): void {
    if (count < min) this.#reportIn(label, min === 1 ? 'must be there' : `must be there at least ${min} times`);
    if (count > max) this.#reportIn(label, max === 0 ? 'must not be there' : `must be there at most ${max} times`);
  }

  #slices({ slices, closed, ordered }: Slicing, found: readonly Occurrence[]): void {
    const counts = slices.map(() => 0);
    let last = 0;
    for (const each of found) {
      const index = slices.findIndex(({ matches }) => matches(each));
      const slice = slices[index];
      if (!slice) {
        if (closed) this.#inside(each, () => this.#report('must be of a slice that the profile has'));
        continue;
      }
      counts[index] = (counts[index] ?? 0) + 1;
      if (ordered && index < last) this.#inside(each, () => this.#report('must come in the order of the slices'));
      last = index;
      this.#inside(each, () => this.occurrence(slice.constraint, each));
    }
    for (const [index, { constraint }] of slices.entries()) this.#count(constraint, counts[index] ?? 0);
  }

  /** One of them is enough; the violations of a single one are told in full. */
  #profiles(refs: readonly ProfileRef[], found: Occurrence): void {
    const roots = refs.flatMap(({ root }) => root ?? []);
    const [only] = roots;
    if (roots.length === 1 && only) return this.occurrence(only, found);
    if (!roots.some((root) => conforms(root, found)))
      this.#report(`must satisfy one of ${refs.map(({ url }) => url).join(', ')}`);
  }

  #reference({ reference, type }: JsonObject, targets: ReadonlySet<string>): void {
    const target: Json | undefined =
      typeof reference === 'string' ? (typeInReference(reference) ?? this.#typeOfName(reference)) : type;
    if (typeof target === 'string' && !targets.has(target)) this.#report(`must refer to ${[...targets].join(' or ')}`);
  }

  #inside({ element, index }: Occurrence, work: () => void): void {
    const depth = this.#path.length;
    this.#path.push(element.name);
    if (index !== undefined) this.#path.push(index);
    work();
    this.#path.length = depth;
  }

  #report(rule: string): void {
    this.#violations.add(this.#path, rule);
  }

  #reportIn(name: string, rule: string): void {
    this.#violations.add([...this.#path, name], rule);
  }
}
