/** Search-parameter expressions: the subset of FHIRPath that R4 uses in them, compiled once to plain property walks. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from './types.ts';

export interface Found {
  readonly value: Json;
  /** Datatype where the element is a choice and its name tells it (`valueQuantity`), first letter in lower case. */
  readonly type?: string;
}

export type Extractor = (resource: JsonObject) => Found[];
type Step = (found: readonly Found[]) => Found[];

/** Datatypes that end the name of a choice element in R4 (all of `ElementDefinition.value[x]` that search reaches). */
const CHOICE_TYPES: ReadonlySet<string> = new Set(
  'boolean canonical code date dateTime decimal instant integer string uri age codeableConcept coding duration identifier money period quantity range ratio reference sampledData timing'.split(
    ' ',
  ),
);

/** `Patient.deceased.exists() and Patient.deceased != false` is the one expression of R4 that is a condition. */
const EXISTS_AND_NOT_FALSE = /^(.+)\.exists\(\) and \1 != false$/;

/** What a path is made of. */
const STEPS: readonly { readonly pattern: RegExp; readonly step: (first: string, second: string) => Step }[] = [
  { pattern: /\.ofType\((\w+)\)/y, step: (type) => (found) => found.filter((one) => one.type === lowerFirst(type)) },
  {
    pattern: /\.where\(resolve\(\) is (\w+)\)/y,
    step: (type) => (found) => found.filter(({ value }) => refersTo(value, type)),
  },
  {
    pattern: /\.where\((\w+)='([^']*)'\)/y,
    step: (name, text) => (found) => found.filter(({ value }) => isObject(value) && value[name] === text),
  },
  { pattern: /\[(\d+)\]/y, step: (index) => (found) => found.slice(Number(index), Number(index) + 1) },
  { pattern: /\.(\w+)/y, step: (name) => (found) => found.flatMap(({ value }) => children(value, name)) },
];

/** @throws Error for a form the subset does not have; a test compiles every expression of R4. */
export function compileExpression(expression: string): Extractor {
  const condition = EXISTS_AND_NOT_FALSE.exec(expression)?.[1];
  if (condition) {
    const walk = compilePath(condition);
    return (resource) => [{ value: walk(resource).some(({ value }) => value !== false) }];
  }
  const walks = expression.split(' | ').map(compilePath);
  return (resource) => walks.flatMap((walk) => walk(resource));
}

/** The path begins with the type of the resource, which the caller has. */
function compilePath(path: string): Extractor {
  const steps: Step[] = [];
  for (let at = /^\w+/.exec(path)?.[0].length ?? 0; at < path.length; ) {
    const { step, length } = nextStep(path, at);
    steps.push(step);
    at += length;
  }
  return (resource) => steps.reduce<Found[]>((found, step) => step(found), [{ value: resource }]);
}

function nextStep(path: string, at: number): { step: Step; length: number } {
  for (const { pattern, step } of STEPS) {
    pattern.lastIndex = at;
    const match = pattern.exec(path);
    if (match) return { step: step(match[1] ?? '', match[2] ?? ''), length: match[0].length };
  }
  throw new Error(`search expression not understood: ${path}`);
}

function children(parent: Json, name: string): Found[] {
  if (!isObject(parent)) return [];
  const own = parent[name];
  return own === undefined ? choices(parent, name) : list(own, undefined);
}

function choices(parent: JsonObject, name: string): Found[] {
  for (const key of Object.keys(parent)) {
    const type = key.length > name.length && key.startsWith(name) ? lowerFirst(key.slice(name.length)) : '';
    if (CHOICE_TYPES.has(type)) return list(parent[key] ?? null, type);
  }
  return [];
}

function list(value: Json, type: string | undefined): Found[] {
  const values: readonly Json[] = Array.isArray(value) ? value : [value];
  return values
    .filter((one) => one !== null)
    .map((one) => (type === undefined ? { value: one } : { value: one, type }));
}

/** Without resolving: the reference's text, relative or absolute, names the type. */
const refersTo = (value: Json, type: string): boolean =>
  isObject(value) && typeof value['reference'] === 'string' && `/${value['reference']}`.includes(`/${type}/`);

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
