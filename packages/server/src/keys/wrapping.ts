/** Keys under keys: how a KEK is wrapped by the root, and a data key by a KEK. */
import { createDataKey, type DataKey, type KeyId, openBytes, sealBytes } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';

/** Where a wrapped data key belongs. Moved to another tenant, kind, patient, id or KEK version, it does not open. */
export interface DataKeyPlace {
  readonly tenant: string;
  readonly kind: string;
  /** Patient, index class or day; empty for kinds with one key per tenant. */
  readonly scope: string;
  readonly id: KeyId;
  readonly kekVersion: number;
}

const KEK_LABEL = 'keyward/kek/1';
const DATA_KEY_LABEL = 'keyward/data-key/1';

export const kekAad = (tenant: string, version: number): Buffer => lengthPrefixed([KEK_LABEL, tenant, String(version)]);

const dataKeyAad = ({ tenant, kind, scope, id, kekVersion }: DataKeyPlace): Buffer =>
  lengthPrefixed([DATA_KEY_LABEL, tenant, kind, scope, id, String(kekVersion)]);

/** Four bytes of length, big endian, before each part: no two lists of parts give the same bytes. */
function lengthPrefixed(parts: readonly string[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function wrapDataKey(kek: DataKey, key: DataKey, place: DataKeyPlace): Buffer {
  const bytes = key.secret.export();
  try {
    return sealBytes(kek, dataKeyAad(place), bytes);
  } finally {
    bytes.fill(0);
  }
}

/** The commitment is computed again: a wrapped key under a foreign id is refused. */
export function unwrapDataKey(kek: DataKey, wrapped: Uint8Array, place: DataKeyPlace): DataKey {
  const key = openWrapped(() => openBytes(kek, dataKeyAad(place), wrapped));
  if (key.id !== place.id) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  return key;
}

function openWrapped(open: () => Buffer): DataKey {
  try {
    return createDataKey(open());
  } catch (cause) {
    throw new KeywardError('KEYS_NOT_AUTHENTIC', { cause });
  }
}
