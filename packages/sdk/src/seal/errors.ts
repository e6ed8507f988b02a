/** The errors of the seal: one table of codes. Messages hold no value, and every failure that depends on a secret looks the same. */

const SEAL_ERRORS = {
  SEAL_TOKEN_MALFORMED: 'This is not a sealed value of a known format. Pass it exactly as it was returned by sealing.',
  SEAL_KEY_MISMATCH: 'The sealed value names another key. Fetch the key whose id it names.',
  SEAL_NOT_AUTHENTIC:
    'The sealed value does not open: it was altered, or does not belong to this place. Treat it as tampered with.',
  SEAL_VALUE_UNSUPPORTED:
    'The value, or its context, cannot be sealed. Pass JSON, and a context whose members are non-empty text.',
  SEAL_KEY_INVALID:
    'A data key is 32 bytes, with an id of 32 hexadecimal digits. Make it with createDataKey or generateDataKey.',
  SEAL_INDEX_CLASS: 'No normaliser is declared for this index class. Use one of the declared classes.',
} as const;

export type SealErrorCode = keyof typeof SEAL_ERRORS;

export class SealError extends Error {
  readonly code: SealErrorCode;

  constructor(code: SealErrorCode) {
    super(`${code}: ${SEAL_ERRORS[code]}`);
    this.name = 'SealError';
    this.code = code;
  }
}
