/** What can go wrong between an application and its custodian, as stable codes. */

/** Codes are rows of the server's error table, so that a server can pass one on under the same name. */
const CLIENT_ERRORS = {
  KEYS_UNAUTHENTICATED: 'The custodian does not know this credential.',
  KEYS_FORBIDDEN: 'The custodian does not give this process keys of that kind.',
  KEYS_UNKNOWN_KEY: 'The custodian holds no such key.',
  KEYS_USE_REFUSED: 'The use that was stated does not fit the keys asked for.',
  KEYS_RATE_LIMITED: 'This caller asks for more keys than it may.',
  KEYS_STATE_REFUSED: 'The state of this key does not permit that use.',
  KEYS_REQUEST_INVALID: 'The custodian did not understand the request.',
  KEYS_NOT_AUTHENTIC: 'A key does not match the id it was handed out under.',
  KEYS_ROOT_MISMATCH: 'The root key does not open the tenant KEK.',
  KEYS_EXHAUSTED: 'This key has protected as much as it may.',
  KEYS_ROOT_UNAVAILABLE: 'The root (HSM or KMS) does not answer.',
  KEYS_ROOT_REFUSED: 'The root (HSM or KMS) refused the use of its key.',
  KEYS_UNAVAILABLE: 'The custodian does not answer.',
  DB_UNAVAILABLE: 'The database of the custodian does not answer.',
  LEDGER_UNAVAILABLE: 'The custodian could not record the access, so no key was handed out.',
} as const;

export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

/** Codes that are about one key of a call or about who asks, not about the custodian: others that wait for the same key are not concerned. */
export const KEY_REFUSALS: readonly ClientErrorCode[] = [
  'KEYS_FORBIDDEN',
  'KEYS_USE_REFUSED',
  'KEYS_RATE_LIMITED',
  'KEYS_UNKNOWN_KEY',
  'KEYS_STATE_REFUSED',
  'KEYS_EXHAUSTED',
  'KEYS_NOT_AUTHENTIC',
];

/** Holds no key, credential or value of a request; `cause` is for the log of the caller. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, options: { cause?: unknown } = {}) {
    super(`${code}: ${CLIENT_ERRORS[code]}`, options);
    this.name = 'ClientError';
    this.code = code;
  }
}

export const isClientErrorCode = (code: unknown): code is ClientErrorCode =>
  typeof code === 'string' && Object.hasOwn(CLIENT_ERRORS, code);
