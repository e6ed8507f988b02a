/** Path and query parameters of an operation: what may stand in an address, and what must not. */
import type { Json } from '@keyward/sdk/seal';
import { type ApiDocument, below, mapFault, type Place } from './document.ts';
import { assertExtensions, assertKeywords } from './keywords.ts';
import { hasPhi, queryPhi } from './rule.ts';
import type { Described } from './searched.ts';
import type { QueryRule } from './types.ts';

export interface Parameters {
  readonly path: ReadonlySet<string>;
  readonly query: ReadonlyMap<string, QueryRule>;
  readonly described: readonly Described[];
  /** An object schema of all of them, as values of an address are checked against it. */
  readonly schema: Place;
}

/** @param places of the path first, then of the operation, which may say one anew */
export function readParameters(document: ApiDocument, api: string, places: readonly Place[], at: string): Parameters {
  const byName = new Map<string, Place>();
  for (const place of places.map((given) => document.resolved(given)))
    byName.set(`${text(place, 'in')} ${text(place, 'name')}`, place);
  const path = new Set<string>();
  const query = new Map<string, QueryRule>();
  const all: Described[] = [];
  const properties: Record<string, Json> = {};
  const required: string[] = [];
  for (const place of byName.values()) {
    const name = text(place, 'name');
    const schema = document.child(place, 'schema');
    if (!schema) throw mapFault(place.at, 'a parameter needs a schema.');
    const described = document.resolved(schema);
    for (const part of [schema, described, document.child(described, 'items')]) if (part) assertKeywords(part);
    if (text(place, 'in') === 'path') path.add(clearPathParameter(place, described));
    else query.set(name, queryRule(place, described, api));
    assertExtensions(place, ['x-phi', 'x-phi-member']);
    all.push({ at: place.at, name, member: memberOf(place), phi: query.get(name)?.phi });
    properties[name] = schema.value;
    if (place.value['required'] === true) required.push(name);
  }
  return {
    path,
    query,
    described: all,
    schema: { at: below(at, '(parameters)'), value: { type: 'object', properties, required } },
  };
}

/** `x-phi-member: /address/city`. */
function memberOf({ at, value }: Place): readonly string[] | undefined {
  const said = value['x-phi-member'];
  if (said === undefined) return undefined;
  if (typeof said !== 'string' || !/^(?:\/[^/]+)+$/.test(said))
    throw mapFault(below(at, 'x-phi-member'), 'expected a pointer, as in /address/city.');
  return said.slice(1).split('/');
}

/** Addresses are logged everywhere, so nothing identifying may be part of one. */
function clearPathParameter(place: Place, schema: Place): string {
  if (hasPhi(place) || hasPhi(schema))
    throw mapFault(place.at, 'a path parameter cannot have x-phi: let the API name records by an opaque id.');
  return text(place, 'name');
}

function queryRule(place: Place, schema: Place, api: string): QueryRule {
  if (text(place, 'in') !== 'query')
    throw mapFault(place.at, `parameters in ${text(place, 'in')} are not supported; remove it from the description.`);
  const { style = 'form', explode = true } = place.value;
  if (style !== 'form' || explode !== true || schema.value['type'] === 'object')
    throw mapFault(
      place.at,
      'a parameter in the query is one value, or one that is repeated (style form, explode true).',
    );
  return { phi: queryPhi(place, schema, api), repeats: schema.value['type'] === 'array' };
}

function text({ at, value }: Place, name: string): string {
  const found = value[name];
  if (typeof found !== 'string') throw mapFault(at, `a parameter needs ${name}.`);
  return found;
}
