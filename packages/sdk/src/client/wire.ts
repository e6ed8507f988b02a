/** The custodian's API as both sides read it: addresses, bounds, shape of an answer. */

export const KEY_ROUTES = { protect: '/v1/keys/protect', process: '/v1/keys/process' } as const;

export type KeyOperation = keyof typeof KEY_ROUTES;

/** Most specs or ids in one call; the client cuts longer lists. */
export const MAX_KEYS_PER_CALL = 1000;

/** One key as it travels: `secret` is 32 bytes in base64. */
export interface WireKey {
  readonly id: string;
  readonly secret: string;
}

export interface WireAnswer {
  /** In the order of the request. */
  readonly keys: readonly WireKey[];
}
