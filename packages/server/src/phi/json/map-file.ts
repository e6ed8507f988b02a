/** A map file: JSON Pointer patterns for APIs without a description; turned into one, so that there is one way to read both. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { readOpenApi } from './openapi.ts';
import { JSON_METHODS, type JsonApiMap } from './types.ts';

const pointer = z.string().regex(/^(\/[^/~]+)*$/);
/** `clear`, or what `x-phi` takes; its own type where that is not a string. */
const member = z.union([
  z.literal('clear'),
  z.looseObject({
    class: z.string(),
    type: z.enum(['string', 'number', 'integer', 'boolean']).optional(),
    format: z.string().optional(),
  }),
]);
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/);
/** A parameter that is named otherwise than the member it searches says which it is. */
const parameter = z.union([z.literal('clear'), z.looseObject({ class: z.string(), member: pointer.optional() })]);
/** Pointer to where objects stand → their name, or a clear member around them. */
const body = z.record(pointer, z.string());
const operation = z.strictObject({
  object: name.optional(),
  subject: z.string().optional(),
  query: z.record(z.string(), parameter).optional(),
  request: body.optional(),
  response: body.optional(),
});
const mapFile = z.strictObject({
  version: z.literal(1),
  objects: z.record(name, z.strictObject({ subject: pointer.optional(), members: z.record(pointer, member) })),
  operations: z.record(z.string().regex(new RegExp(`^(${JSON_METHODS.join('|')}) /\\S*$`)), operation),
});

type MapFile = z.infer<typeof mapFile>;
type Member = z.infer<typeof member>;
type Tree = { [keyword: string]: unknown };

/** @throws KeywardError `API_MAP_INVALID` */
export function readMapFile(content: unknown, api: string): JsonApiMap {
  const parsed = mapFile.safeParse(content);
  if (!parsed.success) {
    const where = parsed.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; ');
    throw new KeywardError('API_MAP_INVALID', { detail: where });
  }
  return readOpenApi(descriptionOf(parsed.data), api);
}

function descriptionOf({ objects, operations }: MapFile): Tree {
  const schemas = Object.entries(objects).map(([object, { subject, members }]) => [
    object,
    {
      ...schemaOf(Object.entries(members).map(([at, said]) => [at, memberSchema(said)])),
      ...(subject ? { 'x-phi-subject': subject } : {}),
    },
  ]);
  const paths: Record<string, Tree> = {};
  for (const [line, said] of Object.entries(operations)) {
    const [method = '', path = ''] = line.split(' ');
    (paths[path] ??= {})[method.toLowerCase()] = operationOf(path, said);
  }
  return { openapi: '3.1.0', paths, components: { schemas: Object.fromEntries(schemas) } };
}

function operationOf(
  path: string,
  { object, subject, query = {}, request, response }: z.infer<typeof operation>,
): Tree {
  const names = [...path.matchAll(/\{([^{}]+)\}/g)].map(([, found]) => found);
  const content = (parts: z.infer<typeof body>) => ({ content: { 'application/json': { schema: bodySchema(parts) } } });
  return {
    ...(object ? { 'x-phi-object': object } : {}),
    ...(subject ? { 'x-phi-subject': subject } : {}),
    parameters: [
      ...names.map((found) => ({ in: 'path', name: found, required: true, schema: { type: 'string' } })),
      ...Object.entries(query).map(([parameterName, said]) => parameterOf(parameterName, said)),
    ],
    ...(request ? { requestBody: content(request) } : {}),
    responses: { '2XX': response ? content(response) : {} },
  };
}

function parameterOf(found: string, said: z.infer<typeof parameter>): Tree {
  if (said === 'clear') return { in: 'query', name: found, schema: memberSchema(said) };
  const { member: searched, ...rest } = said;
  return { in: 'query', name: found, schema: memberSchema(rest), ...(searched ? { 'x-phi-member': searched } : {}) };
}

const bodySchema = (parts: z.infer<typeof body>): Tree =>
  schemaOf(
    Object.entries(parts).map(([at, said]) => [
      at,
      said === 'clear' ? memberSchema('clear') : { $ref: `#/components/schemas/${said}` },
    ]),
  );

const SCALAR = { type: ['string', 'number', 'boolean', 'null'] };

function memberSchema(said: Member): Tree {
  if (said === 'clear') return SCALAR;
  const { type = 'string', format, ...phi } = said;
  return { type: [type, 'null'], ...(format === undefined ? {} : { format }), 'x-phi': phi };
}

/** One schema out of pointers and what stands at their ends; `*` is every entry of a list. Nothing else may be there. */
function schemaOf(parts: readonly (readonly [at: string, schema: Tree])[]): Tree {
  const whole = parts.find(([at]) => at === '');
  if (whole && parts.length > 1) throw ambiguous('what a pointer names as a value has no members.');
  if (whole) return whole[1];
  const groups = Map.groupBy(parts, ([at]) => at.split('/')[1] ?? '');
  const inner = (first: string) =>
    schemaOf((groups.get(first) ?? []).map(([at, schema]) => [at.slice(first.length + 1), schema]));
  if (groups.has('*') && groups.size > 1) throw ambiguous('what has * is a list, and has no other members.');
  if (groups.has('*')) return { type: 'array', items: inner('*') };
  const properties = Object.fromEntries([...groups.keys()].map((first) => [first, inner(first)]));
  return { type: 'object', properties: { ...properties, ...companionsOf(properties) }, additionalProperties: false };
}

const ambiguous = (detail: string) => new KeywardError('API_MAP_INVALID', { detail });

/** Members that hold ciphertexts need not be listed. */
function companionsOf(properties: Tree): Tree {
  const companions = Object.entries(properties).flatMap(([property, schema]): [string, Tree][] => {
    const phi = (schema as Tree)['x-phi'] as { treatment?: string; companion?: string } | undefined;
    if (phi?.treatment === undefined || phi.treatment === 'seal') return [];
    return [[phi.companion ?? `${property}Sealed`, { type: 'string' }]];
  });
  return Object.fromEntries(companions);
}
