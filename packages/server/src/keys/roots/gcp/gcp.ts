/** The Google Cloud KMS root: a symmetric key. Credentials come from Google's own chain (Application Default Credentials). */
import type { KeyManagementServiceClient } from '@google-cloud/kms';
import { loadSdk } from '../cloud/sdk.ts';
import { envelopeRoot, type RootCipher } from '../envelope.ts';
import type { Root, RootConfigOf, RootDescription } from '../root.ts';
import { createGcpKey, type GcpKey } from './gcp-key.ts';
import { checkKey, PROTECTION } from './key-check.ts';

type ClientOptions = ConstructorParameters<typeof KeyManagementServiceClient>[0];

const VERSION_BYTES = 4;

export const gcpKmsRoot = {
  /** Further settings of the client are for tests. */
  async open({ key: name }: RootConfigOf<'gcp-kms'>, _context: unknown, more: ClientOptions = {}): Promise<Root> {
    const { KeyManagementServiceClient } = await loadSdk(['@google-cloud/kms'], () => import('@google-cloud/kms'));
    const key = createGcpKey(new KeyManagementServiceClient(more), name);
    try {
      const primary = checkKey(await key.get());
      const { hardware } = PROTECTION[String(primary.protectionLevel)] ?? { hardware: false };
      // Imported material was outside, in whoever's hands.
      const exportable = Boolean(primary.importJob);
      const region = name.split('/')[3] as string;
      return envelopeRoot(gcpCipher(key, { provider: 'gcp-kms', key: name, hardware, exportable, region }));
    } catch (thrown) {
      await key.close();
      throw thrown;
    }
  },
};

/**
 * The primary version wraps; its number stands before what it wrapped, in clear, and is bound to it. Its state is asked for
 * before each use, and the version asked about is the version used.
 */
const gcpCipher = (key: GcpKey, description: RootDescription): RootCipher => ({
  async encrypt(secret, context, signal) {
    const { version } = checkKey(await key.get(signal));
    const number = Buffer.alloc(VERSION_BYTES);
    number.writeUInt32BE(version);
    return Buffer.concat([number, await key.encrypt(version, secret, Buffer.concat([number, context]), signal)]);
  },
  async decrypt(ciphertext, context, signal) {
    const number = ciphertext.subarray(0, VERSION_BYTES);
    const aad = Buffer.concat([number, context]);
    await key.checkVersion(number, signal);
    return key.decrypt(ciphertext.subarray(VERSION_BYTES), aad, signal);
  },
  describe: () => description,
  close: () => key.close(),
});
