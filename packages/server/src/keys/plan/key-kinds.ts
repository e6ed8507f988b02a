/** Every kind of key: what it protects, with what, how long, and who may use it. */
import type { SettingName } from './facts.ts';

export interface KeyKindRow {
  readonly kind: string;
  readonly protects: string;
  readonly algorithm: string;
  /** Where its bytes come from, and how they are kept. */
  readonly keptAs: string;
  readonly users: string;
  /** Setting of its cryptoperiod in days, or why there is none. */
  readonly period: { readonly setting: SettingName } | { readonly text: string };
  /** Key type in NIST SP 800-57 part 1 rev. 5, section 5.3.6. */
  readonly type: string;
}

const WRAPPED = 'generator of the custodian; stored wrapped under a KEK';
const DATA = { setting: 'cryptoperiodDays.data' } as const;
const INDEXED = { text: 'not rotated by time; see Exceptions' } as const;

// biome-ignore format: a table
export const KEY_KINDS: readonly KeyKindRow[] = [
  { kind: 'root',      type: 'symmetric key-wrapping key (7), or as the provider has it', protects: 'KEKs',                               algorithm: 'of the provider; see Root',       keptAs: 'in the root, see Root',                       users: 'custodian',                 period: { setting: 'cryptoperiodDays.root' } },
  { kind: 'kek',       type: 'symmetric key-wrapping key (7)',   protects: 'data keys',                                                    algorithm: 'AES-256-GCM',                     keptAs: 'generator of the custodian; stored wrapped by the root', users: 'custodian',      period: { setting: 'cryptoperiodDays.kek' } },
  { kind: 'subject',   type: 'symmetric data-encryption key (6)', protects: 'what belongs to one patient',                                  algorithm: 'AES-256-GCM',                     keptAs: WRAPPED,                                       users: 'gateway',                   period: DATA },
  { kind: 'tenant',    type: 'symmetric data-encryption key (6)', protects: 'what belongs to no patient, or to several',                    algorithm: 'AES-256-GCM',                     keptAs: WRAPPED,                                       users: 'gateway',                   period: DATA },
  { kind: 'store',     type: 'symmetric data-encryption key (6)', protects: 'records at rest in the built-in store',                        algorithm: 'AES-256-GCM',                     keptAs: WRAPPED,                                       users: 'store',                     period: DATA },
  { kind: 'cursor',    type: 'symmetric data-encryption key (6)', protects: 'links of pages and exports, for an hour',                      algorithm: 'AES-256-GCM',                     keptAs: WRAPPED,                                       users: 'gateway',                   period: DATA },
  { kind: 'index',     type: 'symmetric authentication key (3)',  protects: 'values that are searched, as blind indexes',                   algorithm: 'HMAC-SHA-256, truncated to 128 bits', keptAs: WRAPPED,                                   users: 'gateway, store',            period: INDEXED },
  { kind: 'pseudonym', type: 'symmetric authentication key (3)',  protects: 'patients in the clear part of ledger entries, as pseudonyms',  algorithm: 'HMAC-SHA-256',                    keptAs: WRAPPED,                                       users: 'gateway, admin, custodian', period: INDEXED },
  { kind: 'ledger',    type: 'symmetric data-encryption key (6)', protects: 'bodies of the ledger entries of one day',                      algorithm: 'AES-256-GCM',                     keptAs: WRAPPED,                                       users: 'gateway, custodian; admin reads', period: { text: 'one day' } },
  { kind: 'signature', type: 'private signature key (1)',         protects: 'certificates of destruction',                                  algorithm: 'Ed25519',                         keptAs: WRAPPED,                                       users: 'custodian',                 period: { setting: 'cryptoperiodDays.signing' } },
  { kind: 'backup',    type: 'symmetric authentication key (3)',  protects: 'proof that a record of a backup was erased',                   algorithm: 'HMAC-SHA-256',                    keptAs: WRAPPED,                                       users: 'custodian',                 period: { text: 'life of the backup' } },
  { kind: 'backup key', type: 'symmetric data-encryption key (6)', protects: 'one sealed backup of the hierarchy',                          algorithm: 'AES-256-GCM',                     keptAs: 'only as shares among holders (Shamir)',       users: 'holders, M of N',           period: { text: 'life of the backup' } },
  { kind: 'approver',  type: 'private signature key (1)',         protects: 'approvals of dangerous acts',                                  algorithm: 'Ed25519',                         keptAs: 'file on the approver\'s machine; the public key here', users: 'one approver',     period: { text: 'until the approver enrols another' } },
];
