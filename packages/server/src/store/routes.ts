/** From method and path to an interaction; what has no row here does not exist. */
import { KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';
import { EVERYTHING_TYPES } from './everything.ts';
import type { InteractionName } from './interactions.ts';
import type { SearchPair } from './types.ts';

export interface Route {
  readonly name: InteractionName;
  readonly type: string;
  readonly id: string;
  readonly version: string;
  readonly query: readonly SearchPair[];
}

const TYPE = '(?<type>[A-Z][A-Za-z]{1,63})';
/** R4 §2.24.0.1. */
const ID = '(?<id>[A-Za-z0-9.-]{1,64})';
/** Any id may stand there; which of them is a version of ours is found out by looking. */
const VERSION = '(?<version>[A-Za-z0-9.-]{1,64})';

const EVERYTHING = new RegExp(String.raw`^(?<type>${EVERYTHING_TYPES.join('|')})/${ID}/\$everything$`);

/** `query`: what the interaction makes of parameters; without it only `_format` may stand there. */
const ROUTES: readonly (readonly [method: string, path: RegExp, name: InteractionName, query?: 'query'])[] = [
  ['GET', new RegExp(`^${TYPE}$`), 'search', 'query'],
  ['POST', new RegExp(`^${TYPE}/_search$`), 'search', 'query'],
  ['GET', EVERYTHING, 'everything', 'query'],
  ['POST', EVERYTHING, 'everything', 'query'],
  ['GET', new RegExp(`^${TYPE}/${ID}$`), 'read'],
  ['GET', new RegExp(`^${TYPE}/${ID}/_history$`), 'history', 'query'],
  ['GET', new RegExp(`^${TYPE}/${ID}/_history/${VERSION}$`), 'vread'],
  ['POST', new RegExp(`^${TYPE}$`), 'create'],
  ['PUT', new RegExp(`^${TYPE}/${ID}$`), 'update'],
  ['DELETE', new RegExp(`^${TYPE}/${ID}$`), 'remove'],
];

/**
 * @param target path and query below the FHIR base, without a leading slash, e.g. `Patient?family=x`
 * @param form parameters from the body of a `_search`
 * @throws KeywardError `FHIR_INTERACTION_UNSUPPORTED` | `FHIR_TYPE_UNKNOWN` | `FHIR_PARAM_UNSUPPORTED`
 */
export function routeOf(method: string, target: string, form = ''): Route {
  const queryStart = target.indexOf('?');
  const path = queryStart < 0 ? target : target.slice(0, queryStart);
  const query = [queryStart < 0 ? '' : target.slice(queryStart + 1), form].flatMap((text) => [
    ...new URLSearchParams(text),
  ]);
  for (const [rowMethod, pattern, name, usesQuery] of ROUTES) {
    const groups = rowMethod === method ? pattern.exec(path)?.groups : undefined;
    if (!groups) continue;
    const { type = '', id = '', version = '' } = groups;
    if (!isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
    if (!usesQuery && query.some(([parameter]) => parameter !== '_format'))
      throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
    return { name, type, id, version, query };
  }
  throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
}
