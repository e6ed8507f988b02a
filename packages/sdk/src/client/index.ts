/** @keyward/sdk/client: ask a custodian for keys, and keep them for a bounded time. */
export { createCustodianClient, type CustodianClientOptions } from './custodian-client.ts';
export { ClientError, type ClientErrorCode, isClientErrorCode } from './errors.ts';
export { createKeyCache, type KeyCache, type KeyCacheOptions, type KeyCacheStats } from './key-cache.ts';
export { type KeyKind, scopeOf } from './spec.ts';
export type { KeyService, KeySpec, KeyUse } from './types.ts';
export { KEY_ROUTES, type KeyOperation, MAX_KEYS_PER_CALL, type WireAnswer } from './wire.ts';
