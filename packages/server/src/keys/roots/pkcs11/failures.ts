/** What a return value of a PKCS#11 library, or a complaint of the token process, means for the custodian. */
import type { KeywardError } from '../../../core/index.ts';
import { rootFailure, type RootFailureCode } from '../failure.ts';
import type { TokenComplaint } from './messages.ts';

interface Meaning {
  readonly code: RootFailureCode;
  readonly detail: string;
}

const refused = (detail: string): Meaning => ({ code: 'KEYS_ROOT_REFUSED', detail });
const unusable = (detail: string): Meaning => ({ code: 'KEYS_ROOT_UNUSABLE', detail });
const altered: Meaning = { code: 'KEYS_NOT_AUTHENTIC', detail: 'The token does not open it.' };

const COMPLAINTS: Readonly<Record<TokenComplaint, Meaning>> = {
  BINDING_MISSING: unusable('The package pkcs11js is not installed: npm install pkcs11js.'),
  TOKEN_MISSING: { code: 'KEYS_ROOT_UNAVAILABLE', detail: 'No token with the label of keys.root.token is there.' },
  TOKEN_AMBIGUOUS: unusable('Several tokens have the label of keys.root.token.'),
  PIN_LAST_TRY: refused('One more wrong PIN would lock the token: log in by hand first.'),
  MECHANISM_MISSING: unusable('The token does not offer what keys.root.mechanism asks for.'),
  KEY_MISSING: refused('There is no AES key with the label of keys.root.key in the token.'),
  KEY_AMBIGUOUS: unusable('Several AES keys have the label of keys.root.key.'),
  KEY_RACE: { code: 'KEYS_ROOT_UNAVAILABLE', detail: 'Another custodian made the key at the same time: ask again.' },
  KEY_UNFIT: unusable('The key must be 256 bits, made in the token, sensitive and never extractable.'),
  KEY_OTHER: { code: 'KEYS_ROOT_MISMATCH', detail: 'The key in the token has another CKA_ID.' },
  LIBRARY_MISSING: unusable('The library of keys.root.module cannot be loaded.'),
  CIPHERTEXT_SHORT: altered,
  CIPHERTEXT_REFUSED: altered,
};

/** PKCS#11 3.1, section 5.1.6. Whatever is not listed may pass by itself: the token is asked again in a new session. */
const RETURN_VALUES: Readonly<Record<string, Meaning>> = {
  CKR_PIN_INCORRECT: refused('The PIN is wrong; it is not tried again before it changes.'),
  CKR_PIN_INVALID: refused('The PIN is wrong; it is not tried again before it changes.'),
  CKR_PIN_LEN_RANGE: refused('The PIN is wrong; it is not tried again before it changes.'),
  CKR_PIN_EXPIRED: refused('The PIN has expired.'),
  CKR_PIN_LOCKED: refused('The PIN is locked.'),
  CKR_USER_PIN_NOT_INITIALIZED: refused('The token has no user PIN yet.'),
  CKR_KEY_FUNCTION_NOT_PERMITTED: refused('The key may not be used for this any more.'),
  CKR_TOKEN_WRITE_PROTECTED: refused('The token is write-protected, and there is no key in it yet.'),
  CKR_MECHANISM_INVALID: unusable('The token does not offer what keys.root.mechanism asks for.'),
  CKR_ENCRYPTED_DATA_INVALID: altered,
  CKR_ENCRYPTED_DATA_LEN_RANGE: altered,
  CKR_WRAPPED_KEY_INVALID: altered,
  CKR_WRAPPED_KEY_LEN_RANGE: altered,
  CKR_AEAD_DECRYPT_FAILED: altered,
};

const MEANINGS: Readonly<Record<string, Meaning>> = { ...COMPLAINTS, ...RETURN_VALUES };

/** A wrong PIN, after which the same one must not be tried again: a few tries lock a token for good. */
export const isWrongPin = (failure: string): boolean => /^CKR_PIN_(INCORRECT|INVALID|LEN_RANGE)$/.test(failure);

export function tokenFailure(failure: string): KeywardError {
  const known = Object.hasOwn(MEANINGS, failure) ? MEANINGS[failure] : undefined;
  if (known) return rootFailure(known.code, known.detail);
  const word = /^CKR_[A-Z_]{1,50}$/.test(failure) ? failure : 'no PKCS#11 return value';
  return rootFailure('KEYS_ROOT_UNAVAILABLE', `The token said ${word}.`);
}
