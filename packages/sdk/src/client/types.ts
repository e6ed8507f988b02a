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

/** What a key is asked for; checked, and recorded before the key is handed out (K4, K6). */
export interface KeyUse {
  /** Whose keys; a custodian serves one tenant. */
  readonly tenant: string;
  /** Subject scopes of the patients whose data this is about: no key of another patient is handed out. At most `MAX_KEYS_PER_CALL`. */
  readonly subjects: readonly string[];
  /** HL7 v3 ActReason, or `SYSTEM` for a process's own work. */
  readonly purpose: string;
  readonly correlationId: string;
  /** `sub` of the token on whose behalf, when there is one. */
  readonly actor?: string;
  /** `iss` of that token: a `sub` names somebody only within its issuer. */
  readonly issuer?: string;
}

/** A key as it is handed out. */
export interface HandedKey extends DataKey {
  /** Of a patient's key, the subject scope. */
  readonly subject?: string;
}

export interface KeyService {
  /**
   * The active key of each spec, in order; made where there never was one (originator use).
   * @param seals how many values the caller will seal or index with each, in order; one with each where it is left out. The
   * custodian counts them before it hands the key out, since one key bears 2^32 (NIST SP 800-38D, section 8.3).
   */
  protect(specs: readonly KeySpec[], use: KeyUse, seals?: readonly number[]): Promise<HandedKey[]>;
  /** The keys that ciphertexts name, in order (recipient use). Unknown ids and ids of kinds the caller may not use are refused. */
  process(ids: readonly KeyId[], use: KeyUse): Promise<HandedKey[]>;
}

/** A key to seal with, and how many seals were counted for it. */
export interface GrantedKey extends HandedKey {
  readonly seals: number;
}

/** Where a cache gets its keys: it says how many seals it granted, no fewer than were asked for. */
export interface KeySource extends KeyService {
  protect(specs: readonly KeySpec[], use: KeyUse, seals?: readonly number[]): Promise<GrantedKey[]>;
}

/** What changed about keys that processes may hold opened. */
export interface KeyNews {
  /** Copies of these keys must be dropped now. */
  readonly ids: readonly KeyId[];
  /** Whatever is held to protect these with must be asked for anew. */
  readonly specs: readonly { readonly kind: string; readonly scope: string }[];
}
