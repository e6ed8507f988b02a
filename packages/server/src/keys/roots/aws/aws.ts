/** The AWS KMS root: a symmetric key of KMS. Its ARN is configured; credentials come from the AWS SDK's own chain. */
import type { KMSClient, KMSClientConfig } from '@aws-sdk/client-kms';
import { loadSdk } from '../cloud/sdk.ts';
import { envelopeRoot, type RootCipher } from '../envelope.ts';
import { rootFailure } from '../failure.ts';
import type { Root, RootConfigOf, RootDescription } from '../root.ts';
import { addChecksum, removeChecksum } from './checksum.ts';
import { kmsFault } from './faults.ts';
import { checkKey, checkState, type KeyMetadata, ORIGINS } from './key-check.ts';
import { refuseClearText } from './transport.ts';

/** Name in the encryption context, which CloudTrail shows: the value is a digest, so it names no tenant there. */
const CONTEXT_NAME = 'keyward-context';

type Sdk = typeof import('@aws-sdk/client-kms');

interface Kms {
  readonly sdk: Sdk;
  readonly client: KMSClient;
  readonly arn: string;
}

export const awsKmsRoot = {
  /** Further settings of the client are for tests. */
  async open({ key: arn }: RootConfigOf<'aws-kms'>, _context: unknown, more: KMSClientConfig = {}): Promise<Root> {
    const sdk = await loadSdk(['@aws-sdk/client-kms'], () => import('@aws-sdk/client-kms'));
    const region = arn.split(':')[3] as string;
    // Attempts, pauses and time limits are those of `resilient`.
    const client = new sdk.KMSClient({ ...more, region, maxAttempts: 1 });
    refuseClearText(client);
    const kms = { sdk, client, arn };
    try {
      const metadata = await keyOf(kms);
      checkKey(metadata);
      return envelopeRoot(kmsCipher(kms, describe(arn, region, metadata)));
    } catch (thrown) {
      client.destroy();
      throw thrown;
    }
  },
};

/**
 * The state is asked for before each use: KMS refuses a key that is not enabled by itself, what else answers at its address may
 * not.
 */
const kmsCipher = (kms: Kms, description: RootDescription): RootCipher => ({
  async encrypt(secret, context, signal) {
    checkState(await keyOf(kms, signal));
    const input = { KeyId: kms.arn, Plaintext: secret, EncryptionContext: contextOf(context) };
    const answer = await ask(kms.client.send(new kms.sdk.EncryptCommand(input), during(signal)));
    return addChecksum(bytesFrom(kms.arn, answer.KeyId, answer.CiphertextBlob));
  },
  async decrypt(ciphertext, context, signal) {
    const blob = removeChecksum(ciphertext);
    checkState(await keyOf(kms, signal));
    // The key is named: a blob names one too, and whoever wrote it chose that.
    const input = { KeyId: kms.arn, CiphertextBlob: blob, EncryptionContext: contextOf(context) };
    const answer = await ask(kms.client.send(new kms.sdk.DecryptCommand(input), during(signal)));
    return bytesFrom(kms.arn, answer.KeyId, answer.Plaintext);
  },
  describe: () => description,
  close: async () => kms.client.destroy(),
});

async function keyOf({ sdk, client, arn }: Kms, signal?: AbortSignal): Promise<KeyMetadata> {
  const { KeyMetadata } = await ask(client.send(new sdk.DescribeKeyCommand({ KeyId: arn }), during(signal)));
  if (KeyMetadata?.Arn !== arn) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It described another key.');
  return KeyMetadata;
}

async function ask<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (thrown) {
    throw kmsFault(thrown);
  }
}

const during = (signal?: AbortSignal) => (signal ? { abortSignal: signal } : {});
const contextOf = (context: Buffer) => ({ [CONTEXT_NAME]: context.toString('base64') });

/** A copy that the caller owns; the SDK's is wiped. */
function bytesFrom(arn: string, answeredBy: string | undefined, bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered without a result.');
  const copy = Buffer.from(bytes);
  bytes.fill(0);
  if (answeredBy === arn) return copy;
  copy.fill(0);
  throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered with another key than it was asked for.');
}

function describe(arn: string, region: string, { Origin }: KeyMetadata): RootDescription {
  const { hardware, exportable } = ORIGINS[Origin ?? ''] ?? { hardware: false, exportable: true };
  return { provider: 'aws-kms', key: withoutRegionOfReplica(arn), hardware, exportable, region };
}

/** Replicas of a multi-Region key open what any of them wrapped, so after a disaster the ARN of one in another Region serves. */
const withoutRegionOfReplica = (arn: string): string => arn.replace(/:kms:[a-z0-9-]+:(\d+:key\/mrk-)/, ':kms:*:$1');
