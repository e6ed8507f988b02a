/** @keyward/sdk/seal: seal and open fields and bodies, and index them blindly, under keys the caller was given. */
export { blindIndex } from './blind-index.ts';
export { contextBytes } from './context.ts';
export { createDataKey, generateDataKey, keyIdOf, type RandomBytes } from './data-key.ts';
export { createEngine } from './engine.ts';
export { envelopeKeyId, openBytes, sealBytes } from './envelope.ts';
export { SealError, type SealErrorCode } from './errors.ts';
export { normalise } from './normalise.ts';
export { isToken, tokenKeyId } from './token.ts';
export type { DataKey, FieldContext, Json, KeyId, OpenItem, SealEngine, SealItem } from './types.ts';
