/** Keys under keys: how a KEK is wrapped by the root, and a data key by a KEK. */
import { createDataKey, type DataKey, type KeyId, openBytes, type RandomBytes, sealBytes } from '@keyward/sdk/seal';
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
const LENGTH_BYTES = 4;

export const kekAad = (tenant: string, version: number): Buffer => lengthPrefixed([KEK_LABEL, tenant, String(version)]);

const dataKeyAad = ({ tenant, kind, scope, id, kekVersion }: DataKeyPlace): Buffer =>
  lengthPrefixed([DATA_KEY_LABEL, tenant, kind, scope, id, String(kekVersion)]);

/** Four bytes of length, big endian, before each part: no two lists of parts give the same bytes. */
export function lengthPrefixed(parts: readonly string[]): Buffer {
  const sizeBytes = parts.reduce((sum, part) => sum + LENGTH_BYTES + Buffer.byteLength(part), 0);
  const bytes = Buffer.alloc(sizeBytes);
  let at = 0;
  for (const part of parts) {
    const written = bytes.write(part, at + LENGTH_BYTES);
    bytes.writeUInt32BE(written, at);
    at += LENGTH_BYTES + written;
  }
  return bytes;
}

export function wrapDataKey(kek: DataKey, key: DataKey, place: DataKeyPlace, random?: RandomBytes): Buffer {
  const bytes = key.secret.export();
  try {
    return sealBytes(kek, dataKeyAad(place), bytes, random);
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
