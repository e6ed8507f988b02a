/** From method and path to a FHIR interaction; what has no row here is refused by name. */
import { KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';

export const FHIR_PREFIX = '/fhir';

export const ROUTE_NAMES = [
  'capabilities',
  'read',
  'vread',
  'history',
  'search',
  'everything',
  'create',
  'update',
  'delete',
  'patch',
  'bundle',
  'export',
  'exportStatus',
  'exportFile',
  'smart',
  'backfill',
  'scope',
  'unsupported',
] as const;
export type RouteName = (typeof ROUTE_NAMES)[number];

export interface Route {
  readonly name: RouteName;
  /** `''` where the interaction has none. */
  readonly type: string;
  readonly id: string;
  readonly version: string;
  /** Search parameters arrive in the body (`_search`). */
  readonly form: boolean;
}

/** FHIR R4 §2.24.0.1: id = [A-Za-z0-9\-\.]{1,64}; of dots alone it would be a dot segment of a path. */
export const ID = '(?!\\.+(?:/|$))[A-Za-z0-9.-]{1,64}';
const ID_TEXT = new RegExp(`^${ID}$`);
export const isId = (value: unknown): value is string => typeof value === 'string' && ID_TEXT.test(value);

/** `_format` of an answer: JSON is all there is. */
export const isJsonFormat = (text: string): boolean => /^(json|application\/(fhir\+)?json)$/.test(text);

const TYPE = '[A-Z][A-Za-z]*';

/** Types whose records $everything collects. */
export const EVERYTHING_TYPES: readonly string[] = ['Patient', 'Encounter'];

/** A token of ours, where an id would stand. */
const SEALED = '[A-Za-z0-9_.-]{1,8192}';

type Row = readonly [method: string, path: RegExp, name: RouteName, form?: 'form'];
const TABLE: readonly Row[] = [
  ['GET', /^metadata$/, 'capabilities'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})$`), 'read'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})/_history/(${ID})$`), 'vread'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})/_history$`), 'history'],
  ['GET', new RegExp(`^(${TYPE})$`), 'search'],
  ['POST', new RegExp(`^(${TYPE})/_search$`), 'search', 'form'],
  ...['GET', 'POST'].map(
    (method): Row => [method, new RegExp(`^(${EVERYTHING_TYPES.join('|')})/(${ID})/\\$everything$`), 'everything'],
  ),
  ['POST', new RegExp(`^(${TYPE})$`), 'create'],
  ['PUT', new RegExp(`^(${TYPE})/(${ID})$`), 'update'],
  ['DELETE', new RegExp(`^(${TYPE})/(${ID})$`), 'delete'],
  ['PATCH', new RegExp(`^(${TYPE})/(${ID})$`), 'patch'],
  // Without an id the parameters say which resource is meant (FHIR R4 §3.1.0.4.3, §3.1.0.7.1).
  ['PUT', new RegExp(`^(${TYPE})$`), 'update'],
  ['DELETE', new RegExp(`^(${TYPE})$`), 'delete'],
  ['POST', /^$/, 'bundle'],
  ['POST', /^\$keyward-backfill$/, 'backfill'],
  ['POST', new RegExp(`^(Patient)/(${ID})/\\$keyward-scope$`), 'scope'],
  ['GET', /^\.well-known\/smart-configuration$/, 'smart'],
  // FHIR Bulk Data Access: of everything, of all patients, of the members of a group.
  ...['GET', 'POST'].flatMap((method): Row[] => [
    [method, /^\$export$/, 'export'],
    [method, /^(Patient)\/\$export$/, 'export'],
    [method, new RegExp(`^(Group)/(${ID})/\\$export$`), 'export'],
  ]),
  ['GET', new RegExp(`^\\$export-status/()(${SEALED})$`), 'exportStatus'],
  ['DELETE', new RegExp(`^\\$export-status/()(${SEALED})$`), 'exportStatus'],
  ['GET', new RegExp(`^\\$export-file/()(${SEALED})$`), 'exportFile'],
];

/** @param path path below the FHIR base, without slashes at its ends. */
export function routeOf(method: string, path: string): Route {
  for (const [tableMethod, pattern, name, form] of TABLE) {
    const match = tableMethod === method ? pattern.exec(path) : null;
    if (!match) continue;
    const [, type = '', id = '', version = ''] = match;
    return { name, type, id, version, form: form !== undefined };
  }
  return { name: 'unsupported', type: '', id: '', version: '', form: false };
}

/** @param url as an entry of a bundle names it */
export const relativeUrl = (url: string, publicBase: string): string =>
  (url.startsWith(`${publicBase}/`) ? url.slice(publicBase.length + 1) : url).replace(/^\//, '');

/** @throws KeywardError `FHIR_TYPE_UNKNOWN`. */
export function assertKnownType({ type }: Route): void {
  if (type !== '' && !isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
}
