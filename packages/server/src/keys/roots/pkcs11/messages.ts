/** The messages between custodian and token process. */

export interface TokenSettings {
  /** Path of the PKCS#11 library. */
  readonly module: string;
  /** Label of the token. */
  readonly token: string;
  /** Label of the key. */
  readonly key: string;
  readonly mechanism: 'aes-gcm' | 'aes-key-wrap-pad';
  readonly pin: string;
}

/** Bytes beside `encrypt`: context, then the secret; beside `decrypt`: context, then what `encrypt` answered. */
export type TokenRequest =
  | { readonly id: number; readonly act: 'open'; readonly settings: TokenSettings }
  | { readonly id: number; readonly act: 'encrypt' | 'decrypt' };

export const CONTEXT_BYTES = 32;

/** What is wrong where PKCS#11 has no word of its own for it. */
export type TokenComplaint =
  | 'BINDING_MISSING'
  | 'TOKEN_MISSING'
  | 'TOKEN_AMBIGUOUS'
  | 'PIN_LAST_TRY'
  | 'MECHANISM_MISSING'
  | 'KEY_MISSING'
  | 'KEY_AMBIGUOUS'
  | 'KEY_RACE'
  | 'KEY_UNFIT'
  | 'KEY_OTHER'
  | 'LIBRARY_MISSING'
  | 'CIPHERTEXT_SHORT'
  | 'CIPHERTEXT_REFUSED';

export type TokenReply =
  | { readonly id: number; readonly hardware?: boolean }
  /** A return value of the library (`CKR_…`), a complaint of ours, or `UNEXPECTED`. */
  | { readonly id: number; readonly failure: string };
