/** What a key spec names besides its kind: the patient, the index class, the day. */
import type { KeySpec } from './types.ts';

export type KeyKind = KeySpec['kind'];

const SCOPE_OF: { readonly [K in KeyKind]: (spec: Extract<KeySpec, { kind: K }>) => string } = {
  subject: (spec) => spec.subject,
  tenant: () => '',
  index: (spec) => spec.indexClass,
  store: () => '',
  cursor: () => '',
  ledger: (spec) => spec.day,
  pseudonym: () => '',
};

/** Two specs name the same key exactly when kind and scope are equal. Empty for kinds with one key per tenant. */
export const scopeOf = (spec: KeySpec): string => (SCOPE_OF[spec.kind] as (spec: KeySpec) => string)(spec);
