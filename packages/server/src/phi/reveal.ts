/** Whether the id of a resource tells who it is about: ids are never sealed. */
import { planSeal } from './seal.ts';
import type { FhirResource, FieldClass } from './types.ts';

/** Classes whose values someone might make an id of. */
const TELLING: ReadonlySet<FieldClass> = new Set(['name', 'identifier', 'contact', 'birthDate']);

/** Names joined as ids often are; a person with more names than this is compared name by name. */
const MOST_NAMES_JOINED = 12;

/**
 * Whether `resource.id` is, apart from case and punctuation, an identifier, a name, a telecom or a birth date of the resource.
 * @throws KeywardError as planSeal does
 */
export function idRevealsIdentifier(resource: FhirResource): boolean {
  const id = comparable(resource.id ?? '');
  if (id === '') return false;
  const sites = planSeal(resource).sites.filter(({ fieldClass }) => TELLING.has(fieldClass));
  const texts = sites
    .map(({ value }) => comparable(typeof value === 'string' ? value : ''))
    .filter((text) => text !== '');
  const names = sites.filter(({ terms }) =>
    terms.some(({ indexClass }) => indexClass === 'family' || indexClass === 'given'),
  );
  return texts.includes(id) || joined(names.map(({ value }) => comparable(value as string))).includes(id);
}

const comparable = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');

/** Every pair of names in either order: `smithjohn`, `johnsmith`. */
const joined = (names: readonly string[]): string[] =>
  names.length > MOST_NAMES_JOINED
    ? []
    : names.flatMap((first) => names.filter((name) => name !== first).map((second) => first + second));
