/** The transit root: a key of OpenBao or Vault that never leaves the server. */
import { readSecretReference } from '../../../config/index.ts';
import { envelopeRoot, type RootCipher } from '../envelope.ts';
import { rootFailure } from '../failure.ts';
import type { RootConfigOf, RootDefinition } from '../root.ts';
import { createTransitClient, type TransitClient } from './client.ts';
import { checkKey } from './key-check.ts';

export const transitRoot: RootDefinition<'transit'> = {
  async open(config) {
    const client = createTransitClient(config, () => readSecretReference(config.token));
    try {
      checkKey(await client.ask('GET', `${config.mount}/keys/${config.key}`));
      return envelopeRoot(transitCipher(config, client));
    } catch (thrown) {
      await client.close();
      throw thrown;
    }
  },
};

const transitCipher = ({ mount, key }: RootConfigOf<'transit'>, client: TransitClient): RootCipher => ({
  async encrypt(secret, context, signal) {
    const body = { plaintext: base64(secret), associated_data: base64(context) };
    const { ciphertext } = await client.ask('POST', `${mount}/encrypt/${key}`, body, signal);
    return Buffer.from(textOf(ciphertext), 'utf8');
  },
  async decrypt(ciphertext, context, signal) {
    const body = { ciphertext: ciphertext.toString('utf8'), associated_data: base64(context) };
    const { plaintext } = await client.ask('POST', `${mount}/decrypt/${key}`, body, signal);
    return Buffer.from(textOf(plaintext), 'base64');
  },
  describe: () => ({ provider: 'transit', key: `${mount}/${key}`, hardware: false, exportable: false }),
  close: () => client.close(),
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered something that is no transit answer.');
}
