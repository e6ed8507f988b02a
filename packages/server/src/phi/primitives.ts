/** How each FHIR primitive looks in JSON, so that free text cannot pass as a date, an id or a number. */
import type { Json } from '@keyward/sdk/seal';

/** A datatype in JSON: a boolean, a number, or a string of this pattern. Patterns: https://hl7.org/fhir/R4/datatypes.html */
type Shape = 'boolean' | 'number' | RegExp;

const ANY_TEXT = /^/;
const NO_BLANKS = /^\S*$/;
const DATE = /^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/;
const TIME_OF_DAY = '([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)(\\.\\d+)?';
const ZONED = `\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T${TIME_OF_DAY}(Z|[+-](0\\d|1[0-4]):[0-5]\\d)`;

const SHAPES: Readonly<Record<string, Shape>> = {
  boolean: 'boolean',
  integer: 'number',
  unsignedInt: 'number',
  positiveInt: 'number',
  decimal: 'number',
  string: ANY_TEXT,
  markdown: ANY_TEXT,
  xhtml: ANY_TEXT,
  base64Binary: /^[A-Za-z0-9+/=\s]*$/,
  // HL7 itself has codes with a blank at the end, which the pattern forbids.
  code: /[^ \t\r\n]/,
  id: /^[A-Za-z0-9.-]{1,64}$/,
  elementId: NO_BLANKS,
  uri: NO_BLANKS,
  url: NO_BLANKS,
  canonical: NO_BLANKS,
  oid: /^urn:oid:[0-2](\.\d+)+$/,
  uuid: /^urn:uuid:[0-9a-fA-F-]{36}$/,
  date: DATE,
  dateTime: new RegExp(`${DATE.source}|^${ZONED}$`),
  instant: new RegExp(`^${ZONED}$`),
  time: new RegExp(`^${TIME_OF_DAY}$`),
};

export const isPrimitive = (type: string): boolean => Object.hasOwn(SHAPES, type);

/** Whether a value is of the JSON type of a primitive. */
export function hasJsonType(type: string, value: Json): boolean {
  const shape = SHAPES[type];
  if (shape === 'number') return isNumber(value);
  return typeof value === (shape === 'boolean' ? 'boolean' : 'string');
}

/** Whether a value is a legal value of a primitive. */
export function hasShape(type: string, value: Json): boolean {
  const shape = SHAPES[type];
  return hasJsonType(type, value) && (!(shape instanceof RegExp) || shape.test(value as string));
}

/** Decimals come as `JSON.rawJSON`, which keeps their digits. */
function isNumber(value: Json): boolean {
  if (typeof value === 'number') return true;
  return JSON.isRawJSON(value) && /^-?\d/.test(value.rawJSON);
}
