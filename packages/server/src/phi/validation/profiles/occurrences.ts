/** Finds the values of an element in an object: every entry of a list, whichever type of a choice. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../../marks.ts';
import { type Element, elementsOf } from '../../structure.ts';
import type { Occurrence } from './constraint.ts';

export function occurrencesOf(owner: JsonObject, variants: readonly Element[]): Occurrence[] {
  return variants.flatMap((element): Occurrence[] => {
    const value = owner[element.name];
    const beside = owner[`_${element.name}`];
    if (value === undefined && beside === undefined) return [];
    if (!element.list) return [{ element, value, beside, index: undefined }];
    const [values, besides] = [entriesOf(value), entriesOf(beside)];
    return Array.from({ length: Math.max(values.length, besides.length) }, (_, index) => ({
      element,
      value: values[index] ?? undefined,
      beside: besides[index] ?? undefined,
      index,
    }));
  });
}

const entriesOf = (value: Json | undefined): readonly Json[] =>
  Array.isArray(value) ? (value as readonly Json[]) : [];

/** The elements of a type that a path segment names: `value` and `value[x]` every choice, `valueQuantity` that one. */
export function variantsOf(type: string, segment: string): Element[] {
  const stem = segment.replace('[x]', '');
  return [...(elementsOf(type)?.values() ?? [])].filter((element) => element.stem === stem || element.name === segment);
}

/** The object that holds the members of an occurrence. */
export function membersOf({ value, beside }: Occurrence): JsonObject {
  if (isObject(value)) return value;
  return isObject(beside) ? beside : {};
}

/** The type whose elements those are. */
export function typeOf({ element, value }: Occurrence): string {
  if (!isObject(value)) return 'Element';
  const { resourceType } = value;
  return typeof resourceType === 'string' ? resourceType : element.type;
}

/** What is found at the end of a path of element names. */
export function occurrencesAt(occurrence: Occurrence, [segment, ...rest]: readonly string[]): Occurrence[] {
  if (segment === undefined) return [occurrence];
  return occurrencesOf(membersOf(occurrence), variantsOf(typeOf(occurrence), segment)).flatMap((found) =>
    occurrencesAt(found, rest),
  );
}
