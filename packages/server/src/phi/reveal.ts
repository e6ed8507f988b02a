/** Whether a text that stays readable tells who a resource is about: ids, references and uris are never sealed. */
import type { Json } from '@keyward/sdk/seal';
import type { Catalogue } from './catalogue.ts';
import { planSeal } from './seal.ts';
import type { FhirResource, FieldClass, SealSite } from './types.ts';
import { rewriteResource } from './walk.ts';

/** Classes whose values someone might make an id of. */
export const TELLING: ReadonlySet<FieldClass> = new Set(['name', 'identifier', 'contact', 'birthDate']);

/** Names joined as ids often are; a person with more names than this is compared name by name. */
const MOST_NAMES_JOINED = 12;

/** Datatypes of the other texts that clients choose and that stay readable. */
const HANDLES: ReadonlySet<string> = new Set(['id', 'elementId', 'uri', 'url', 'canonical', 'oid', 'uuid']);

/** Shorter ones meet by chance: `p1` as the id of a contained resource and as somebody's initials. */
const SHORTEST_TELLING_CHARACTERS = 5;

/** What a uri and a reference are joined of; `-` and `.` stand inside numbers and names. */
const PARTS = /[/?#&=;,|:]+/;

/** Random by their making: they tell nobody who somebody is, and servers use them as identifier and id at once. */
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Path of the id, of an element's id, the id of a contained resource, a reference or a uri that is, apart from case and punctuation, an identifier,
 * a name, a telecom or a birth date of the resource; undefined where none is.
 * @param ownId the client chose `resource.id` too
 * @throws KeywardError as planSeal does
 */
export function handleThatReveals(resource: FhirResource, catalogue: Catalogue, ownId: boolean): string | undefined {
  const { sites } = planSeal(resource, catalogue);
  const { id: own = '', ...rest } = resource;
  if (ownId && tellingTexts(sites).has(comparable(own))) return `${resource.resourceType}.id`;
  // A display often is the id of what is referred to, with blanks: it was that resource's to choose.
  const telling = tellingTexts(sites.filter(({ path }) => !path.endsWith('.display')));
  if (telling.size === 0) return undefined;
  let found: string | undefined;
  rewriteResource(rest, {
    catalogue,
    flaw: (_path, _flaw, value) => value,
    primitive(spot, { value, companion }, inside) {
      const { key, type } = spot.element;
      // A system names a kind of identifiers, often by the same word.
      const isHandle = (HANDLES.has(type) && key !== 'Identifier.system') || key === 'Reference.reference';
      if (isHandle && catalogue.ruleOf(spot) === undefined && holdsTelling(value, telling)) found ??= spot.path;
      return { value, companion: companion && inside(companion) };
    },
  });
  return found;
}

function holdsTelling(value: Json | undefined, telling: ReadonlySet<string>): boolean {
  if (typeof value !== 'string') return false;
  return [value, ...value.split(PARTS)].some((part) => {
    const text = UUID.test(part) ? '' : comparable(part);
    return text.length >= SHORTEST_TELLING_CHARACTERS && telling.has(text);
  });
}

function tellingTexts(every: readonly SealSite[]): ReadonlySet<string> {
  const sites = every.filter(({ fieldClass }) => TELLING.has(fieldClass));
  const names = sites.filter(({ terms }) =>
    terms.some(({ indexClass }) => indexClass === 'family' || indexClass === 'given'),
  );
  return comparableTexts(
    sites.map(({ value }) => (typeof value === 'string' ? value : '')),
    names.map(({ value }) => value as string),
  );
}

/** What an id is compared with: values, and names in pairs. */
export function comparableTexts(values: readonly string[], names: readonly string[]): ReadonlySet<string> {
  const texts = [...values.map(comparable), ...joined(names.map(comparable))];
  return new Set(texts.filter((text) => text !== ''));
}

export const comparable = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');

/** Every pair of names in either order: `smithjohn`, `johnsmith`. */
const joined = (names: readonly string[]): string[] =>
  names.length > MOST_NAMES_JOINED
    ? []
    : names.flatMap((first) => names.filter((name) => name !== first).map((second) => first + second));
