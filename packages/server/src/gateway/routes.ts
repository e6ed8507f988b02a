/** From method and path to a FHIR interaction; what has no row here is refused by name. */
import { KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';

export const ROUTE_NAMES = [
  'capabilities',
  'read',
  'vread',
  'history',
  'search',
  'create',
  'update',
  'delete',
  'bundle',
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
const TYPE = '[A-Z][A-Za-z]*';

const TABLE: readonly (readonly [method: string, path: RegExp, name: RouteName, form?: 'form'])[] = [
  ['GET', /^metadata$/, 'capabilities'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})$`), 'read'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})/_history/(${ID})$`), 'vread'],
  ['GET', new RegExp(`^(${TYPE})/(${ID})/_history$`), 'history'],
  ['GET', new RegExp(`^(${TYPE})$`), 'search'],
  ['POST', new RegExp(`^(${TYPE})/_search$`), 'search', 'form'],
  ['POST', new RegExp(`^(${TYPE})$`), 'create'],
  ['PUT', new RegExp(`^(${TYPE})/(${ID})$`), 'update'],
  ['DELETE', new RegExp(`^(${TYPE})/(${ID})$`), 'delete'],
  ['POST', /^$/, 'bundle'],
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

/** @throws KeywardError `FHIR_TYPE_UNKNOWN`. */
export function assertKnownType({ type }: Route): void {
  if (type !== '' && !isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
}
