/** Paging cursors: where the upstream's next page is, sealed and bound to the caller, so that a link tells nothing and works for nobody else. */
import { tokenKeyId } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError } from '../core/index.ts';
import { type Exchange, known } from './exchange.ts';
import { keyUse } from './seal-context.ts';
import type { PostFilter } from './search.ts';

/** A page link is good for this long. */
const CURSOR_LIFETIME_MS = 3_600_000;

interface CursorContent {
  /** Path and query below the upstream's base. */
  readonly path: string;
  readonly filters: readonly PostFilter[];
  readonly until: number;
}

const contextFor = ({ gateway, principal, route }: Exchange) => ({
  tenant: gateway.tenant,
  scope: JSON.stringify([
    known(principal, 'principal').issuer,
    known(principal, 'principal').sub,
    known(principal, 'principal').role,
  ]),
  objectType: 'Cursor',
  // A context has no empty members.
  objectId: route.id === '' ? 'type' : route.id,
  path: `${route.name}/${route.type}`,
  datatype: 'cursor',
  fieldClass: 'cursor',
});

export async function sealCursor(exchange: Exchange, path: string, filters: readonly PostFilter[]): Promise<string> {
  const { keys, engine, clock } = exchange.gateway;
  const [key] = await keys.protect([{ kind: 'cursor' }], keyUse(exchange));
  const value = {
    path,
    filters: filters.map(({ element, prefix }) => ({ element, prefix })),
    until: clock.now().getTime() + CURSOR_LIFETIME_MS,
  };
  const [token] = engine.sealMany([{ key: known(key, 'cursor key'), context: contextFor(exchange), value }]);
  return known(token, 'cursor');
}

/** @throws KeywardError `FHIR_CURSOR_INVALID`. */
export async function openCursor(exchange: Exchange, token: string): Promise<CursorContent> {
  const { keys, engine, clock } = exchange.gateway;
  let content: CursorContent;
  try {
    const [key] = await keys.process([tokenKeyId(token)], keyUse(exchange));
    const [value] = engine.openMany([{ key: known(key, 'cursor key'), context: contextFor(exchange), token }]);
    content = value as unknown as CursorContent;
  } catch (cause) {
    if (asKeywardError(cause).row.retry) throw cause;
    throw new KeywardError('FHIR_CURSOR_INVALID', { cause });
  }
  if (content.until < clock.now().getTime()) throw new KeywardError('FHIR_CURSOR_INVALID');
  return content;
}
