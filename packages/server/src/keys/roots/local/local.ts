/** The local root, for development: one key in a file, apart from the databases. It protects against whoever has only those. */
import { type DataKey, envelopeKeyId, openBytes, sealBytes } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../../core/index.ts';
import { defineRoot, type Root } from '../root.ts';
import { createRootKey, readRootKey } from './key-file.ts';

const config = z.strictObject({
  file: z.string().min(1).meta({ description: 'File of the root key.' }),
});

/**
 * The file is made when something is first wrapped, never when something is to be unwrapped: a data directory whose root key
 * is lost says so, and does not get a new one that opens nothing.
 */
export const localRoot = defineRoot({
  name: 'local',
  config,
  async open({ file }) {
    let key = readRootKey(file);
    return localRootOn({
      forWrapping: () => (key ??= readRootKey(file) ?? createRootKey(file)),
      forUnwrapping: () => (key ??= readRootKey(file) ?? missing()),
    });
  },
});

interface KeyHolder {
  forWrapping(): DataKey;
  forUnwrapping(): DataKey;
}

const localRootOn = (holder: KeyHolder): Root => ({
  wrap: async (plaintext, aad) => sealBytes(holder.forWrapping(), aad, plaintext),
  unwrap: async (wrapped, aad) => unwrap(holder.forUnwrapping(), wrapped, aad),
  describe: () => ({ provider: 'local', hardware: false, exportable: true }),
});

/** The envelope names the key that made it, so a swapped root key is told from an altered KEK. */
function unwrap(key: DataKey, wrapped: Uint8Array, aad: Uint8Array): Buffer {
  try {
    if (envelopeKeyId(wrapped) === key.id) return openBytes(key, aad, wrapped);
  } catch (cause) {
    throw new KeywardError('KEYS_NOT_AUTHENTIC', { cause });
  }
  throw new KeywardError('KEYS_ROOT_MISMATCH');
}

function missing(): never {
  throw new KeywardError('KEYS_ROOT_UNREADABLE', {
    detail: 'The root key this data directory was created with is missing.',
  });
}
