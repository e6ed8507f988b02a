/** Tokens that stand in links: sealed, bound to the caller, good for a while; a link tells nothing and works for nobody else. */
import type { FieldContext, Json } from '@keyward/sdk/seal';
import { tokenKeyId } from '@keyward/sdk/seal';
import { asKeywardError, type ErrorCode, KeywardError } from '../core/index.ts';
import { type Exchange, known } from './exchange.ts';
import { keyUse } from './key-calls.ts';

/** A link is good for this long. */
const LIFETIME_MS = 3_600_000;

/** What a token is for: it opens nowhere else. */
export type TokenSite = Pick<FieldContext, 'objectType' | 'objectId' | 'path'>;

const contextFor = ({ gateway, principal }: Exchange, site: TokenSite): FieldContext => ({
  tenant: gateway.tenant,
  scope: JSON.stringify([
    known(principal, 'principal').issuer,
    known(principal, 'principal').sub,
    known(principal, 'principal').role,
  ]),
  ...site,
  datatype: 'cursor',
  fieldClass: 'cursor',
});

export async function sealForCaller(exchange: Exchange, site: TokenSite, content: Json): Promise<string> {
  const { keys, engine, clock } = exchange.gateway;
  const [key] = await keys.protect([{ kind: 'cursor' }], keyUse(exchange));
  const value = { content, until: clock.now().getTime() + LIFETIME_MS };
  const [token] = engine.sealMany([{ key: known(key, 'cursor key'), context: contextFor(exchange, site), value }]);
  return known(token, 'token');
}

/** @param invalid code of the KeywardError for a token that is not ours, not the caller's, of another site, or expired */
export async function openForCaller(
  exchange: Exchange,
  site: TokenSite,
  token: string,
  invalid: ErrorCode,
): Promise<Json> {
  const { keys, engine, clock } = exchange.gateway;
  let opened: { content: Json; until: number };
  try {
    const [key] = await keys.process([tokenKeyId(token)], keyUse(exchange));
    const [value] = engine.openMany([{ key: known(key, 'cursor key'), context: contextFor(exchange, site), token }]);
    opened = value as unknown as typeof opened;
  } catch (cause) {
    if (asKeywardError(cause).row.retry) throw cause;
    throw new KeywardError(invalid, { cause });
  }
  if (opened.until < clock.now().getTime()) throw new KeywardError(invalid);
  return opened.content;
}
