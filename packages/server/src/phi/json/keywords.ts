/** Keywords of schemas: which are known, and what their values may be. What is in no list is refused. */
import type { Json } from '@keyward/sdk/seal';
import { isObject } from '../marks.ts';
import { below, mapFault, type Place } from './document.ts';

type Shape = (value: Json) => boolean;
const isText: Shape = (value) => typeof value === 'string';
const isNumber: Shape = (value) => typeof value === 'number';
const isCount: Shape = (value) => Number.isInteger(value) && (value as number) >= 0;
const isFlag: Shape = (value) => typeof value === 'boolean';
const isAnything: Shape = () => true;
const isList =
  (entry: Shape): Shape =>
  (value) =>
    Array.isArray(value) && (value as readonly Json[]).every(entry);
const isFilledList =
  (entry: Shape): Shape =>
  (value) =>
    isList(entry)(value) && (value as readonly Json[]).length > 0;

const TYPES: ReadonlySet<Json> = new Set(['string', 'number', 'integer', 'boolean', 'null', 'object', 'array']);
const isType: Shape = (value) => TYPES.has(value);

/** The validator reads patterns as ECMA-262 with `u`. */
function isPattern(value: Json): boolean {
  try {
    return typeof value === 'string' && RegExp(value, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

/** Those the validator holds values against, then those that only tell people something. */
const SHAPES: readonly (readonly [names: string, shape: Shape])[] = [
  ['allOf anyOf oneOf', isFilledList(isObject)],
  ['$ref format', isText],
  ['items properties', isObject],
  ['additionalProperties', (value) => isFlag(value) || isObject(value)],
  ['required', isList(isText)],
  ['type', (value) => isType(value) || isFilledList(isType)(value)],
  ['enum', isFilledList(isAnything)],
  ['pattern', isPattern],
  ['minLength maxLength minItems maxItems minProperties maxProperties', isCount],
  ['minimum maximum', isNumber],
  ['multipleOf', (value) => isNumber(value) && (value as number) > 0],
  ['nullable uniqueItems deprecated readOnly writeOnly', isFlag],
  ['const', isAnything],
  ['title description default example examples externalDocs xml discriminator $comment', isAnything],
];
const KEYWORDS: ReadonlyMap<string, Shape> = new Map(
  SHAPES.flatMap(([names, shape]) => names.split(' ').map((name): [string, Shape] => [name, shape])),
);
/** OpenAPI 3.0 had flags here. */
const EXCLUSIVE: ReadonlySet<string> = new Set(['exclusiveMinimum', 'exclusiveMaximum']);
/** Whatever begins like an extension of ours is meant for us; others of the form x-… are somebody else's. */
const LIKE_OURS = /^x-phi/i;
const OF_SCHEMAS = ['x-phi', 'x-phi-object', 'x-phi-subject'];

/** Entries that are objects are compared each with each: a longer list would stop the gateway. */
const MAX_UNIQUE_ITEMS = 1000;

/** @throws KeywardError `API_MAP_INVALID` when an extension is misspelt, or stands where it means nothing */
export function assertExtensions({ at, value }: Place, known: readonly string[]): void {
  const unknown = Object.keys(value).find((name) => LIKE_OURS.test(name) && !known.includes(name));
  if (unknown !== undefined) throw mapFault(at, `${unknown} is not supported here.`);
}

/** @throws KeywardError `API_MAP_INVALID` naming the keyword's place */
export function assertKeywords({ at, value }: Place): void {
  assertExtensions({ at, value }, OF_SCHEMAS);
  for (const [keyword, said] of Object.entries(value)) {
    if (!keyword.startsWith('x-') && !KEYWORDS.has(keyword) && !EXCLUSIVE.has(keyword))
      throw mapFault(at, `the keyword ${keyword} is not supported.`);
    if (EXCLUSIVE.has(keyword) && !isNumber(said))
      throw mapFault(at, 'write exclusiveMinimum and exclusiveMaximum as numbers, as OpenAPI 3.1 does.');
    if (KEYWORDS.get(keyword)?.(said) === false)
      throw mapFault(below(at, keyword), 'its value is not what JSON Schema takes there.');
  }
  const { uniqueItems, maxItems = Infinity, nullable, type } = value;
  if (nullable !== undefined && type === undefined) throw mapFault(at, 'nullable needs a type beside it.');
  if (uniqueItems === true && (maxItems as number) > MAX_UNIQUE_ITEMS)
    throw mapFault(at, `uniqueItems needs maxItems of at most ${MAX_UNIQUE_ITEMS}.`);
}
