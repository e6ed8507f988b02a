/** How the slices of an element are told apart (https://hl7.org/fhir/R4/profiling.html#discriminator). */
import type { Json } from '@keyward/sdk/seal';
import type { JsonObject } from '../../marks.ts';
import { conforms } from './check.ts';
import type { Constraint, Occurrence } from './constraint.ts';
import { unusable } from './library.ts';
import { isFixed, partsAt } from './matching.ts';
import { occurrencesAt, typeOf } from './occurrences.ts';

type Test = (occurrence: Occurrence) => boolean;

/** By the type of the discriminator; undefined: the slice says nothing there. `profile` and paths with functions are not supported. */
const KINDS: Readonly<Record<string, (slice: Constraint, path: readonly string[]) => Test | undefined>> = {
  value: byValue,
  pattern: byValue,
  exists: byExistence,
  type: byType,
};

/** @throws KeywardError `FHIR_PROFILE_UNUSABLE` */
export function discriminate(slice: Constraint, discriminators: readonly JsonObject[], where: string): Test {
  const tests = discriminators.map(({ type, path }) => {
    const segments = segmentsOf(path);
    const kind = typeof type === 'string' && Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
    if (!kind || !segments)
      throw unusable(where, `the discriminator ${textOf(type)} ${textOf(path)} is not supported.`);
    const test = kind(slice, segments);
    if (!test) throw unusable(where, `the discriminator ${textOf(path)} finds nothing in ${slice.label}.`);
    return test;
  });
  if (tests.length === 0) throw unusable(where, 'slices without discriminators are not supported.');
  return (occurrence) => tests.every((test) => test(occurrence));
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '(no text)');

function segmentsOf(path: Json | undefined): string[] | undefined {
  if (path === '$this') return [];
  return typeof path === 'string' && /^(\$this\.)?\w+(\.\w+)*$/.test(path)
    ? path.replace('$this.', '').split('.')
    : undefined;
}

/** A value there is as the slice says. */
function byValue(slice: Constraint, path: readonly string[]): Test | undefined {
  const tests = valueTestsAt(slice, path);
  if (tests.length === 0) return undefined;
  return (occurrence) => occurrencesAt(occurrence, path).some((found) => tests.some((test) => test(found)));
}

function valueTestsAt(constraint: Constraint, path: readonly string[]): Test[] {
  const [segment, ...rest] = path;
  if (segment === undefined) return distinguishes(constraint) ? [(occurrence) => conforms(constraint, occurrence)] : [];
  const fromParts = constraint.rules
    .flatMap(({ example }) => (example === undefined ? [] : partsAt(example, path)))
    .map(
      (part): Test =>
        ({ value }) =>
          isFixed(value, part),
    );
  const fromMembers = membersNamed(constraint, segment).flatMap((member) => valueTestsAt(member, rest));
  return [...fromParts, ...fromMembers, ...extensionUrls(constraint, path)];
}

/** An extension is told by its url, which is that of its definition. */
function extensionUrls({ profiles }: Constraint, path: readonly string[]): Test[] {
  if (path.length !== 1 || path[0] !== 'url') return [];
  const urls = new Set([...profiles.values()].flat().map(({ url }) => url));
  return urls.size === 0 ? [] : [({ value }) => typeof value === 'string' && urls.has(value)];
}

/** Of the constraint and of the profiles it refers to; the slices of a member count as the member. */
function membersNamed({ children, profiles }: Constraint, segment: string): Constraint[] {
  const others = [...profiles.values()].flat().flatMap(({ root }) => root?.children ?? []);
  return [...children, ...others]
    .filter(({ stem, variants }) => stem === segment || variants.some(({ name }) => name === segment))
    .flatMap((member) => [member, ...(member.slicing?.slices.map(({ constraint }) => constraint) ?? [])]);
}

const distinguishes = (constraint: Constraint): boolean =>
  constraint.rules.some((rule) => rule.distinguishes) ||
  constraint.children.some(distinguishes) ||
  (constraint.slicing?.slices.some((slice) => distinguishes(slice.constraint)) ?? false);

function byExistence(slice: Constraint, path: readonly string[]): Test | undefined {
  const members = path.reduce<Constraint[]>(
    (constraints, segment) => constraints.flatMap((constraint) => membersNamed(constraint, segment)),
    [slice],
  );
  const count = (occurrence: Occurrence) => occurrencesAt(occurrence, path).length;
  if (members.some(({ max }) => max === 0)) return (occurrence) => count(occurrence) === 0;
  return members.some(({ min }) => min > 0) ? (occurrence) => count(occurrence) > 0 : undefined;
}

function byType(slice: Constraint, path: readonly string[]): Test | undefined {
  const members = path.reduce<Constraint[]>(
    (constraints, segment) => constraints.flatMap((constraint) => membersNamed(constraint, segment)),
    [slice],
  );
  const allowed = new Set(members.flatMap((member) => [...(member.allowed ?? [])]));
  if (allowed.size === 0) return undefined;
  return (occurrence) =>
    occurrencesAt(occurrence, path).some((found) => allowed.has(found.element.name) || allowed.has(typeOf(found)));
}
