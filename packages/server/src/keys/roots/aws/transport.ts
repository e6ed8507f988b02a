/** The AWS SDK takes endpoints from its environment and files too; a key never goes to one in clear. */
import type { KMSClient } from '@aws-sdk/client-kms';
import { rootFailure } from '../failure.ts';

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

interface SdkRequest {
  readonly protocol?: string;
  readonly hostname?: string;
}

export function refuseClearText(client: KMSClient): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { protocol, hostname = '' } = args.request as SdkRequest;
      if (protocol === 'https:' || LOOPBACK.has(hostname)) return next(args);
      throw rootFailure('KEYS_ROOT_UNUSABLE', 'The endpoint of KMS in the settings of the AWS SDK is not https.');
    },
    { step: 'finalizeRequest', name: 'keywardNoClearText' },
  );
}
