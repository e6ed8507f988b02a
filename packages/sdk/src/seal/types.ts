/** The vocabulary of the seal: what a key, a field and a token are. Format: docs/reference/seal-format.md. */
import type { KeyObject } from 'node:crypto';

/** A JSON value. Numbers may be `JSON.rawJSON` objects, so that a decimal keeps the digits it was sent with. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A data key's id: its 16-byte commitment, as 32 lowercase hex digits. */
export type KeyId = string;

/** An opened data key. `id` is a commitment to `secret`, checked when the key is opened, so a token names exactly one key. */
export interface DataKey {
  readonly id: KeyId;
  /** 32 bytes. */
  readonly secret: KeyObject;
}

/** What a token is bound to (the AAD): a token copied to another field, record or patient does not open. */
export interface FieldContext {
  readonly tenant: string;
  /** Subject scope: the patient's UUID minted by the gateway, or `tenant` for what belongs to no single patient. */
  readonly scope: string;
  /** FHIR resource type or API object name. */
  readonly objectType: string;
  /** UUID the gateway mints for each write of a resource. */
  readonly objectId: string;
  /** Element path without array indexes, e.g. `Patient.name.family`. */
  readonly path: string;
  /** FHIR datatype, e.g. `string`, `date`. */
  readonly datatype: string;
  /** Sensitivity class, e.g. `name`, `freeText`. */
  readonly fieldClass: string;
}

export interface SealItem {
  readonly key: DataKey;
  readonly context: FieldContext;
  readonly value: Json;
}

export interface OpenItem {
  readonly key: DataKey;
  readonly context: FieldContext;
  /** `kw1.…` */
  readonly token: string;
}

/** Seals and opens many fields in one call. Implementations pass the same vectors and properties. */
export interface SealEngine {
  readonly name: string;
  /** Tokens in the order of the items. */
  sealMany(items: readonly SealItem[]): string[];
  /**
   * Values in the order of the items.
   * @throws SealError `SEAL_TOKEN_MALFORMED` | `SEAL_KEY_MISMATCH` | `SEAL_NOT_AUTHENTIC`; nothing is returned when one item fails.
   */
  openMany(items: readonly OpenItem[]): Json[];
}
