/** Reads an OpenAPI 3.0 or 3.1 description into the map of a JSON API: what is not described, or not understood, is refused. */
import { assertAgreement, viewsOf } from './agreement.ts';
import { type ApiDocument, mapFault, type Place, readDocument } from './document.ts';
import { assertExtensions } from './keywords.ts';
import { mainObject, objectsIn } from './nodes.ts';
import { readParameters } from './parameters.ts';
import { createSchemaReader, OBJECT_NAME, type SchemaReader } from './schema.ts';
import { type Described, searchedObjects } from './searched.ts';
import { assertSubjects } from './subjects.ts';
import {
  type BodyRule,
  type DescribedOperation,
  JSON_METHODS,
  type JsonApiMap,
  type JsonInteraction,
  type JsonMethod,
  type JsonOperation,
} from './types.ts';
import { type Checks, createChecks, type Direction } from './validators.ts';

interface Reader {
  readonly api: string;
  readonly document: ApiDocument;
  readonly schemas: SchemaReader;
  readonly checks: Checks;
}

/** An operation that may not know yet what it is about. */
interface Found {
  readonly at: string;
  readonly path: string;
  readonly type: string | undefined;
  readonly parameters: readonly Described[];
  readonly operation: Omit<DescribedOperation, 'type'>;
}

/** @throws KeywardError `API_MAP_INVALID` naming the place in the description */
export function readOpenApi(content: unknown, api: string): JsonApiMap {
  const document = readDocument(content);
  const version = document.root.value['openapi'];
  if (typeof version !== 'string' || !/^3\.[01]\.\d+$/.test(version))
    throw mapFault('/openapi', 'expected OpenAPI 3.0 or 3.1.');
  const schemas = createSchemaReader(document, api);
  const reader: Reader = { api, document, schemas, checks: createChecks(document, api) };
  const found = document
    .children(document.child(document.root, 'paths'))
    .flatMap(([path, item]) => operationsOf(reader, path, document.resolved(item)));
  assertDistinct(found);
  const described = found.map((one) => ({ ...one.operation, type: typeOf(one, found), parameters: one.parameters }));
  const views = viewsOf(described);
  assertAgreement(views);
  assertSubjects(described, views);
  const operations = described.map(
    ({ parameters, ...operation }): JsonOperation => ({
      ...operation,
      searchedObjects: searchedObjects(parameters, operation.type, views),
    }),
  );
  const bodies = operations.flatMap(({ request, responses }) => [request, ...responses.values()]);
  return {
    operations: operations.toSorted((left, right) => literals(right) - literals(left)),
    types: [...new Set([...operations.map(({ type }) => type), ...bodies.flatMap(namesIn)])],
    partlyWritten: new Set(
      operations.filter(({ method }) => method === 'PATCH').flatMap(({ request }) => namesIn(request)),
    ),
  };
}

const namesIn = (body: BodyRule | undefined): string[] => (body?.kind === 'mapped' ? objectsIn(body.node) : []);

/** OpenAPI 3.1 §4.8.8.2: literal segments are matched before templated ones. */
const literals = ({ name }: JsonOperation): number =>
  name.split('/').filter((segment) => !PARAMETER.test(segment)).length;

/** Members of a path that are no operations. */
const PATH_MEMBERS: ReadonlySet<string> = new Set(['summary', 'description', 'parameters', 'servers']);

function operationsOf(reader: Reader, path: string, item: Place): Found[] {
  return Object.keys(item.value)
    .filter((member) => !PATH_MEMBERS.has(member) && !member.startsWith('x-'))
    .map((member) => {
      const method = JSON_METHODS.find((name) => name.toLowerCase() === member);
      const place = reader.document.child(item, member);
      if (!method || !place) throw mapFault(item.at, `${member} is not supported.`);
      return readOperation(reader, method, path, item, place);
    });
}

const PARAMETER = /^\{([A-Za-z0-9_.-]+)\}$/;
const LITERAL = /^(?!\.+$)[A-Za-z0-9_$.-]+$/;
const ID_PATTERN = '([A-Za-z0-9_$.-]+)';

function readOperation(reader: Reader, method: JsonMethod, path: string, item: Place, place: Place): Found {
  const { document, api, checks } = reader;
  assertExtensions(item, []);
  assertExtensions(place, ['x-phi-object', 'x-phi-subject']);
  if (place.value['callbacks'] !== undefined) throw mapFault(place.at, 'callbacks are not supported.');
  const segments = segmentsOf(path, item.at);
  const pathParameters = segments.flatMap((segment) => PARAMETER.exec(segment)?.[1] ?? []);
  if (new Set(pathParameters).size < pathParameters.length) throw mapFault(item.at, 'a {parameter} comes twice.');
  const described = [...document.list(item, 'parameters'), ...document.list(place, 'parameters')];
  const parameters = readParameters(document, api, described, place.at);
  const missing = pathParameters.find((name) => !parameters.path.has(name));
  if (missing) throw mapFault(place.at, `the path parameter ${missing} is not described.`);
  const request = requestOf(reader, method, place);
  const responses = responsesOf(reader, place);
  const patterns = segments.map((segment) => (PARAMETER.test(segment) ? ID_PATTERN : RegExp.escape(segment)));
  const operation = {
    name: `${method} ${path}`,
    method,
    interaction: interactionOf(method, segments),
    pattern: new RegExp(`^/${patterns.join('/')}$`),
    pathParameters,
    subject: subjectOf(place, pathParameters),
    query: parameters.query,
    checkParameters: checks.checkTexts(parameters.schema),
    request,
    responses,
  };
  const type = [request, ...responses.values()].flatMap((body) =>
    body?.kind === 'mapped' ? (mainObject(body.node) ?? []) : [],
  );
  return { at: place.at, path, type: saidType(place) ?? type[0], parameters: parameters.described, operation };
}

/** One request must be one operation: here and at the API behind it, which may choose another one. */
function assertDistinct(found: readonly Found[]): void {
  for (const [index, { at, path, operation }] of found.entries()) {
    const other = found
      .slice(0, index)
      .find((before) => before.operation.method === operation.method && areAmbiguous(before.path, path));
    if (other) throw mapFault(at, `some addresses of ${path} are addresses of ${other.path} too.`);
  }
}

/** Paths that have addresses in common, unless one is the more literal in each segment (OpenAPI 3.1 §4.8.8.2). */
function areAmbiguous(left: string, right: string): boolean {
  const [ours, theirs] = [left, right].map((path) => segmentsOf(path, path)) as [string[], string[]];
  const pairs = ours.map((segment, index) => [segment, theirs[index] ?? ''] as const);
  const meet = pairs.every(([one, two]) => one === two || PARAMETER.test(one) || PARAMETER.test(two));
  const literal = (at: 0 | 1) => pairs.some((pair) => !PARAMETER.test(pair[at]) && PARAMETER.test(pair[1 - at] ?? ''));
  return ours.length === theirs.length && meet && literal(0) === literal(1);
}

function segmentsOf(path: string, at: string): string[] {
  const segments = path.replace(/^\/|\/$/g, '').split('/');
  const bad = segments.find((segment) => !PARAMETER.test(segment) && !LITERAL.test(segment));
  if (!path.startsWith('/') || bad !== undefined)
    throw mapFault(at, 'a path is made of segments that are names or one {parameter} each.');
  return segments;
}

function interactionOf(method: JsonMethod, segments: readonly string[]): JsonInteraction {
  if (method === 'GET') return PARAMETER.test(segments.at(-1) ?? '') ? 'read' : 'search';
  return method === 'POST' ? 'create' : method === 'DELETE' ? 'delete' : 'update';
}

/** What an operation is about: what it says, else what its bodies are, else what the others at its path are about. */
function typeOf({ at, path, type }: Found, all: readonly Found[]): string {
  const name = type ?? all.find((other) => other.path === path && other.type !== undefined)?.type;
  if (name !== undefined && OBJECT_NAME.test(name)) return name;
  throw mapFault(at, 'say with x-phi-object which object it is about: its bodies have no named schema.');
}

function saidType({ at, value }: Place): string | undefined {
  const said = value['x-phi-object'];
  if (said !== undefined && typeof said !== 'string') throw mapFault(at, 'x-phi-object is not a name.');
  return said;
}

/** `x-phi-subject: '{id}'` of an operation. */
function subjectOf({ at, value }: Place, pathParameters: readonly string[]): string | undefined {
  const said = value['x-phi-subject'];
  if (said === undefined) return undefined;
  const name = typeof said === 'string' ? PARAMETER.exec(said)?.[1] : undefined;
  if (name === undefined || !pathParameters.includes(name))
    throw mapFault(at, 'x-phi-subject of an operation is one of its path parameters, as in {id}.');
  return name;
}

function requestOf(reader: Reader, method: JsonMethod, place: Place): BodyRule | undefined {
  const body = reader.document.child(place, 'requestBody');
  if (!body) return undefined;
  if (method === 'GET' || method === 'DELETE') throw mapFault(body.at, `${method} with a body is not supported.`);
  return bodyOf(reader, reader.document.resolved(body), 'request');
}

const STATUS = /^(?:\d{3}|\dXX|default)$/;

function responsesOf(reader: Reader, place: Place): Map<string, BodyRule | undefined> {
  const responses = reader.document.children(reader.document.child(place, 'responses'));
  const bad = responses.find(([status]) => !STATUS.test(status));
  if (bad) throw mapFault(bad[1].at, 'a status is three digits, as 2XX, or default.');
  // Answers of other statuses are never passed on, whatever they hold.
  const passed = responses.filter(([status]) => status.startsWith('2') || status === 'default');
  return new Map(
    passed.map(([status, response]) => [status, bodyOf(reader, reader.document.resolved(response), 'response')]),
  );
}

/** Patches are lists of operations whose values stand anywhere: no schema says which of them identify. */
const JSON_MEDIA_TYPE = /^application\/(?!json-patch\+json$)(?:json|[a-z0-9.-]+\+json)$/;

function bodyOf({ document, schemas, checks }: Reader, place: Place, direction: Direction): BodyRule | undefined {
  const contents = document.children(document.child(place, 'content'));
  if (contents.length === 0) return undefined;
  const json = contents.filter(([type]) => JSON_MEDIA_TYPE.test(type));
  if (json.length > 1) throw mapFault(place.at, 'describe one JSON media type, not several.');
  const [mediaType, content] = json[0] ?? [];
  if (mediaType === undefined || !content) return { kind: 'unsupported' };
  const schema = document.child(content, 'schema');
  if (!schema) return { kind: 'unmapped', mediaType };
  const node = schemas.nodeOf(schema);
  return {
    kind: 'mapped',
    mediaType,
    node,
    check: checks.check(schema, direction, false),
    relaxed: checks.check(schema, direction, true),
  };
}
