/** @keyward/sdk/client: ask a custodian for keys, and keep them for a bounded time. */
export { createCustodianClient, type CustodianClient, type CustodianClientOptions } from './custodian-client.ts';
export type { ClientTls, CustodianAddress } from './exchange.ts';
export { ClientError, type ClientErrorCode, isClientErrorCode } from './errors.ts';
export { createKeyCache, type KeyCache, type KeyCacheOptions, type KeyCacheStats } from './key-cache.ts';
export type { Following, NewsListener } from './news.ts';
export { type KeyKind, scopeOf } from './spec.ts';
export type { GrantedKey, HandedKey, KeyNews, KeyService, KeySource, KeySpec, KeyUse } from './types.ts';
export {
  KEY_ROUTES,
  type KeyOperation,
  MAX_KEYS_PER_CALL,
  MAX_SEALS_PER_CALL,
  NEWS_HEARTBEAT_MS,
  NEWS_ROUTE,
  type WireAnswer,
  type WireNews,
} from './wire.ts';
