/** The PKCS#11 root: an AES key that was made in an HSM and never leaves it. */
import { readSecretReference } from '../../../config/index.ts';
import { envelopeRoot, type RootCipher } from '../envelope.ts';
import type { RootConfigOf, RootDefinition } from '../root.ts';
import { createTokenClient, type TokenClient } from './token-client.ts';

export const pkcs11Root: RootDefinition<'pkcs11'> = {
  async open(config) {
    const { module, token, key, mechanism } = config;
    const client = createTokenClient(() => ({ module, token, key, mechanism, pin: readSecretReference(config.pin) }));
    try {
      const { hardware } = await client.open();
      return envelopeRoot(tokenCipher(config, client, hardware));
    } catch (thrown) {
      await client.close();
      throw thrown;
    }
  },
};

const tokenCipher = ({ token, key }: RootConfigOf<'pkcs11'>, client: TokenClient, hardware: boolean): RootCipher => ({
  encrypt: (secret, context, signal) => ask(client, 'encrypt', context, secret, signal),
  decrypt: (ciphertext, context, signal) => ask(client, 'decrypt', context, ciphertext, signal),
  describe: () => ({ provider: 'pkcs11', key: `${token}/${key}`, hardware, exportable: false }),
  close: () => client.close(),
});

async function ask(
  client: TokenClient,
  act: 'encrypt' | 'decrypt',
  context: Buffer,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const message = Buffer.concat([context, bytes]);
  try {
    return await client.ask(act, message, signal);
  } finally {
    message.fill(0);
  }
}
