/** Compiles schemas into checks: once whole, and once looking past every member that has a rule. */
import type { Json } from '@keyward/sdk/seal';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { isObject, type JsonObject } from '../marks.ts';
import { type ApiDocument, mapFault, type Place } from './document.ts';
import { hasPhi, ruleAt } from './rule.ts';
import type { Check } from './types.ts';

/** A request need not hold what only the server sets, nor an answer what only clients send (OpenAPI 3.1 §4.8.24, readOnly). */
export type Direction = 'request' | 'response';

export interface Checks {
  check(schema: Place, direction: Direction, relaxed: boolean): Check;
  /** Of texts from an address: numbers and booleans are read from them. */
  checkTexts(schema: Place): (values: Readonly<Record<string, string | readonly string[]>>) => string | undefined;
}

export function createChecks(document: ApiDocument, api: string): Checks {
  const compilers = new Map<string, Compiler>();
  const compilerOf = (kind: CompilerKind): Compiler => {
    const name = JSON.stringify(kind);
    const compiler = compilers.get(name) ?? createCompiler(document, api, kind);
    compilers.set(name, compiler);
    return compiler;
  };
  return {
    check(schema, direction, relaxed) {
      const validate = compilerOf({ direction, relaxed, coerceTypes: false }).compile(schema);
      return (value) => faultOf(validate, plain(value));
    },
    checkTexts(schema) {
      const validate = compilerOf({ direction: 'request', relaxed: false, coerceTypes: true }).compile(schema);
      // Reading numbers from texts changes what is checked.
      return (values) => faultOf(validate, structuredClone(values) as Json);
    },
  };
}

interface CompilerKind {
  readonly direction: Direction;
  readonly relaxed: boolean;
  readonly coerceTypes: boolean;
}

/** Numbers with their digits kept are objects; the validator wants numbers. */
const plain = (value: Json): Json => (holdsDigits(value) ? (JSON.parse(JSON.stringify(value)) as Json) : value);

const holdsDigits = (value: Json): boolean =>
  typeof value === 'object' && value !== null && (JSON.isRawJSON(value) || Object.values(value).some(holdsDigits));

function faultOf(validate: ValidateFunction, value: Json): string | undefined {
  return validate(value) ? undefined : describe(validate.errors?.[0]);
}

/** Every schema is known to the validator by its place, so that a fault names it. */
const SCHEME = 'place:';
const idOf = (at: string): string => SCHEME + at.split('/').map(encodeURIComponent).join('/');

/** Names of the description only: the place in the body may hold names that are data. */
function describe(error: ErrorObject | undefined): string {
  const { $id = SCHEME } = (error?.parentSchema ?? {}) as { readonly $id?: string };
  const { missingProperty } = (error?.params ?? {}) as { readonly missingProperty?: string };
  const missing = missingProperty === undefined ? '' : ` (${missingProperty})`;
  return `${error?.keyword ?? 'schema'} at ${decodeURIComponent($id.slice(SCHEME.length)) || '/'}${missing}`;
}

interface Compiler {
  compile(schema: Place): ValidateFunction;
}

function createCompiler(
  document: ApiDocument,
  api: string,
  { direction, relaxed, coerceTypes }: CompilerKind,
): Compiler {
  const ajv = new Ajv2020({ strict: false, logger: false, verbose: true, coerceTypes });
  // The package is CommonJS: its function is the default export's default.
  (addFormats as unknown as { default: (to: Ajv2020) => void }).default(ajv);
  const known = new Set<string>();
  const waiting: Place[] = [];
  const nameOf = (place: Place): string => {
    if (!known.has(place.at)) waiting.push(place);
    known.add(place.at);
    return idOf(place.at);
  };
  return {
    compile(schema) {
      const name = nameOf(schema);
      for (let place = waiting.pop(); place; place = waiting.pop()) {
        assertFormat(ajv, place);
        const made = { ...translated(place, { document, api, direction, relaxed, nameOf }), $id: nameOf(place) };
        orFault(place, () => ajv.addSchema(made));
      }
      return orFault(schema, () => ajv.getSchema(name));
    },
  };
}

/** What the validator says of a schema may quote it, so only the place is told. */
function orFault<Made>({ at }: Place, make: () => Made | undefined): Made {
  let cause: unknown;
  try {
    const made = make();
    if (made !== undefined) return made;
  } catch (thrown) {
    cause = thrown;
  }
  throw mapFault(at, 'the schema cannot be compiled: its keywords do not go together.', cause);
}

function assertFormat(ajv: Ajv2020, { at, value }: Place): void {
  const { format } = value;
  if (typeof format === 'string' && ajv.formats[format] === undefined)
    throw mapFault(at, `the format ${format} is not known.`);
}

interface Translation {
  readonly document: ApiDocument;
  readonly api: string;
  readonly direction: Direction;
  readonly relaxed: boolean;
  readonly nameOf: (place: Place) => string;
}

/** Every schema becomes one of its own, referred to by name, so that a schema may contain itself. */
function translated(place: Place, { document, api, direction, relaxed, nameOf }: Translation): JsonObject {
  const { value } = place;
  const refer = (to: Place): Json => ({ $ref: nameOf(to) });
  const entries = Object.entries(value).flatMap(([keyword, said]): [string, Json][] => {
    if (keyword.startsWith('x-') || ANNOTATIONS.has(keyword)) return [];
    // Entries and members that are not shown are neither counted nor compared.
    if (relaxed && UNSEEN.has(keyword)) return [];
    if (keyword === '$ref') return [['$ref', nameOf(document.resolved({ at: place.at, value: { $ref: said } }))]];
    if (keyword === 'items') return [['items', refer(child(document, place, 'items'))]];
    if (keyword === 'additionalProperties' && isObject(said))
      return [[keyword, refer(child(document, place, keyword))]];
    if (keyword === 'allOf' || keyword === 'anyOf' || keyword === 'oneOf')
      // Without the members that tell them apart, several alternatives may fit.
      return [[relaxed && keyword === 'oneOf' ? 'anyOf' : keyword, document.list(place, keyword).map(refer)]];
    return keyword === 'properties' || keyword === 'required' ? [] : [[keyword, said]];
  });
  const hidden = hiddenMembers(document, api, place, direction, relaxed);
  const properties = document.children(document.child(place, 'properties'));
  const required = Array.isArray(value['required']) ? (value['required'] as readonly Json[]) : [];
  if (properties.length > 0)
    entries.push(['properties', Object.fromEntries(properties.map(([name, to]) => [name, refer(to)]))]);
  if (required.length > 0)
    entries.push(['required', required.filter((name) => typeof name === 'string' && !hidden.has(name))]);
  return relaxed && isProtected(document, place) ? {} : Object.fromEntries(entries);
}

const UNSEEN: ReadonlySet<string> = new Set(['minItems', 'minProperties', 'uniqueItems']);
const ANNOTATIONS: ReadonlySet<string> = new Set(
  'title description default example examples deprecated readOnly writeOnly externalDocs xml discriminator $comment'.split(
    ' ',
  ),
);

const child = (document: ApiDocument, place: Place, name: string): Place => {
  const found = document.child(place, name);
  if (!found) throw mapFault(place.at, `${name} is missing.`);
  return found;
};

const isProtected = (document: ApiDocument, place: Place): boolean => hasPhi(place) || hasPhi(document.resolved(place));

/** Members whose absence is no fault: companions are never shown; see Direction for the rest. */
function hiddenMembers(
  document: ApiDocument,
  api: string,
  place: Place,
  direction: Direction,
  relaxed: boolean,
): ReadonlySet<string> {
  const hidden = new Set<string>();
  const oneSided = direction === 'request' ? 'readOnly' : 'writeOnly';
  for (const [name, property] of document.children(document.child(place, 'properties'))) {
    const described = document.resolved(property);
    const companion = isProtected(document, property)
      ? ruleAt(hasPhi(property) ? property : described, api, name)?.companion
      : undefined;
    if (companion !== undefined) hidden.add(companion);
    if (property.value[oneSided] === true || described.value[oneSided] === true) hidden.add(name);
    if (relaxed && isProtected(document, property)) hidden.add(name);
  }
  return hidden;
}
