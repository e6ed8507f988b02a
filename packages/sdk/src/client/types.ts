/** What a process may ask of the custodian. */
import type { DataKey, KeyId } from '../seal/index.ts';

/** Names one data key by what it is for. The custodian keeps one active key for each. */
export type KeySpec =
  /** one per patient; `subject` is the subject scope (UUID) */
  | { readonly kind: 'subject'; readonly subject: string }
  /** what belongs to no single patient */
  | { readonly kind: 'tenant' }
  /** blind index of one class, e.g. `family` */
  | { readonly kind: 'index'; readonly indexClass: string }
  /** bodies in the built-in store */
  | { readonly kind: 'store' }
  /** paging cursors */
  | { readonly kind: 'cursor' }
  /** ledger bodies of one UTC day, `YYYY-MM-DD` */
  | { readonly kind: 'ledger'; readonly day: string }
  /** keyed pseudonyms in ledger headers */
  | { readonly kind: 'pseudonym' };

/** Why a key is asked for; recorded before the key is handed out (K6). */
export interface KeyUse {
  /** HL7 v3 ActReason, or `SYSTEM` for a process's own work. */
  readonly purpose: string;
  readonly correlationId: string;
  /** `sub` of the token on whose behalf, when there is one. */
  readonly actor?: string;
  /** `iss` of that token: a `sub` names somebody only within its issuer. */
  readonly issuer?: string;
}

export interface KeyService {
  /** The active key of each spec, in order; made where there never was one (originator use). */
  protect(specs: readonly KeySpec[], use: KeyUse): Promise<DataKey[]>;
  /** The keys that ciphertexts name, in order (recipient use). Unknown ids and ids of kinds the caller may not use are refused. */
  process(ids: readonly KeyId[], use: KeyUse): Promise<DataKey[]>;
}
