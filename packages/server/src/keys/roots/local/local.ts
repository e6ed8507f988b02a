/** The local root, for development: one key in a file, apart from the databases. It protects against whoever has only those. */
import { type DataKey, envelopeKeyId, generateDataKey, openBytes, sealBytes } from '@keyward/sdk/seal';
import { readSecretReference } from '../../../config/index.ts';
import { KeywardError } from '../../../core/index.ts';
import { untilClosed } from '../closable.ts';
import type { Root, RootConfigOf } from '../root.ts';
import { createRootKey, readRootKey } from './key-file.ts';

type LocalOptions = { readonly file: string } & Pick<RootConfigOf<'local'>, 'passphrase'>;

/**
 * The file is made when something is first wrapped, never when something is to be unwrapped: a data directory whose root key
 * is lost says so, and does not get a new one that opens nothing.
 */
export const localRoot = {
  async open({ file, passphrase: reference }: LocalOptions): Promise<Root> {
    const passphrase = reference && readSecretReference(reference);
    const read = () => readRootKey(file, passphrase);
    let key = read();
    return localRootOn({
      present: () => key,
      forWrapping: () => (key ??= read() ?? createRootKey(file, passphrase)),
      forUnwrapping: () => (key ??= read() ?? missing()),
    });
  },
};

/** For a rehearsal: a key that no file ever holds, and that ends with the process. */
export function memoryRoot(): Root {
  const key = generateDataKey();
  const held = () => key;
  const root = localRootOn({ present: held, forWrapping: held, forUnwrapping: held });
  return { ...root, describe: () => ({ ...root.describe(), exportable: false }) };
}

interface KeyHolder {
  present(): DataKey | undefined;
  forWrapping(): DataKey;
  forUnwrapping(): DataKey;
}

const localRootOn = (holder: KeyHolder): Root =>
  untilClosed({
    wrap: async (plaintext, aad) => sealBytes(holder.forWrapping(), aad, plaintext),
    unwrap: async (wrapped, aad) => unwrap(holder.forUnwrapping(), wrapped, aad),
    describe: () => ({ provider: 'local', key: holder.present()?.id ?? '-', hardware: false, exportable: true }),
    close: async () => undefined,
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
