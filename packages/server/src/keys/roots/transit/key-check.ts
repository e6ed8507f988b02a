/** What a transit key must be like before KEKs stand on it. */
import { rootFailure } from '../failure.ts';

interface Rule {
  readonly member: string;
  readonly value: string | boolean;
  readonly complaint: string;
}

// biome-ignore format: a table
const RULES: readonly Rule[] = [
  { member: 'type',                   value: 'aes256-gcm96', complaint: 'It is not of type aes256-gcm96.' },
  { member: 'derived',                value: false,          complaint: 'It derives keys by context; create it without derived.' },
  { member: 'exportable',             value: false,          complaint: 'It can be exported; create one that cannot.' },
  { member: 'allow_plaintext_backup', value: false,          complaint: 'It can be backed up in plaintext; create one that cannot.' },
  { member: 'deletion_allowed',       value: false,          complaint: 'It may be deleted, and every KEK with it; set deletion_allowed to false.' },
  { member: 'imported_key',           value: false,          complaint: 'It was made outside the server; create one inside.' },
  { member: 'supports_encryption',    value: true,           complaint: 'It cannot encrypt.' },
  { member: 'supports_decryption',    value: true,           complaint: 'It cannot decrypt.' },
];

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` that names the first rule it breaks */
export function checkKey(key: Readonly<Record<string, unknown>>): void {
  const broken = RULES.find(({ member, value }) => key[member] !== value);
  if (broken) throw rootFailure('KEYS_ROOT_UNUSABLE', `The transit key does not fit. ${broken.complaint}`);
}
