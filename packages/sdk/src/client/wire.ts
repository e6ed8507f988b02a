/** The custodian's API as both sides read it: addresses, bounds, shape of an answer. */
import type { KeyNews } from './types.ts';

export const KEY_ROUTES = { protect: '/v1/keys/protect', process: '/v1/keys/process' } as const;

export type KeyOperation = keyof typeof KEY_ROUTES;

/** Most specs or ids in one call, and most subjects that it states; the client cuts longer lists of specs and ids. */
export const MAX_KEYS_PER_CALL = 1000;

/** One key as it travels: `secret` is 32 bytes in base64. */
export interface WireKey {
  readonly id: string;
  readonly secret: string;
  /** Of a patient's key, the subject scope. */
  readonly subject?: string;
  /** Of a key to protect with, the seals granted. */
  readonly seals?: number;
}

export interface WireAnswer {
  /** In the order of the request. */
  readonly keys: readonly WireKey[];
}

/** Most seals in one call for one key: a custodian that grants them stays far below what a key bears. */
export const MAX_SEALS_PER_CALL = 1_048_576;

export const NEWS_ROUTE = '/v1/keys/news';

/** The custodian says at least this often that it is still listening itself. */
export const NEWS_HEARTBEAT_MS = 1_000;

/** One line of the stream of news (NDJSON). Without `ids` and `specs`: nothing happened behind `sequence`. */
export interface WireNews extends Partial<KeyNews> {
  /** To go on from after an interruption. */
  readonly sequence: number;
  /** What happened since the sequence asked for is not known: whoever hears this drops every key. */
  readonly reset?: true;
}
