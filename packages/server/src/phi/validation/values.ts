/** Which values of a primitive R4 allows, where it asks for more than the shape that sealing relies on. */
import type { Json } from '@keyward/sdk/seal';
import { hasShape } from '../primitives.ts';

export type ValueTest = (value: Json) => boolean;

/** Largest `integer`: 32 bits with a sign (https://hl7.org/fhir/R4/datatypes.html#integer). */
const MAX_INTEGER = 2 ** 31 - 1;
/** Longest `string`, in characters (https://hl7.org/fhir/R4/datatypes.html#string). */
const MAX_STRING_CHARS = 1024 * 1024;
/** No control characters but tab, line feed and carriage return. */
// oxlint-disable-next-line no-control-regex
const TEXT = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]+$/;
const DIVISION = /^\s*<div[\s>/]/;

const between = (least: number, most: number): ValueTest => {
  const inRange = (number: number) => Number.isInteger(number) && number >= least && number <= most;
  // What comes as its digits is a decimal, or a number that would lose some: `1.0` is no integer.
  return (value) => typeof value === 'number' && inRange(value);
};

const notEmpty: ValueTest = (value) => value !== '';
const isText: ValueTest = (value) => TEXT.test(value as string);

const STRICTER: Readonly<Record<string, ValueTest>> = {
  integer: between(-MAX_INTEGER - 1, MAX_INTEGER),
  unsignedInt: between(0, MAX_INTEGER),
  positiveInt: between(1, MAX_INTEGER),
  string: (value) => isText(value) && (value as string).length <= MAX_STRING_CHARS,
  markdown: isText,
  xhtml: (value) => DIVISION.test(value as string),
  base64Binary: notEmpty,
  elementId: notEmpty,
  uri: notEmpty,
  url: notEmpty,
  canonical: notEmpty,
};

/** The test for values of a primitive type. */
export function valueTest(type: string): ValueTest {
  const stricter = STRICTER[type];
  return stricter ? (value) => hasShape(type, value) && stricter(value) : (value) => hasShape(type, value);
}
