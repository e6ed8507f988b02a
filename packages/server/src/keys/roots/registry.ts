/** Every root by the name of its provider; one is loaded when the configuration names it, and no other. */
import { join } from 'node:path';
import type { RootConfig, RootProvider } from '../../config/index.ts';
import { resilient } from './resilient.ts';
import type { Root, RootContext, RootDefinition } from './root.ts';

/** Name of the local root key in its folder. */
const LOCAL_FILE = 'root.key';

const ROOTS: { readonly [Provider in RootProvider]: () => Promise<RootDefinition<Provider>> } = {
  local: async () => {
    const { localRoot } = await import('./local/local.ts');
    return {
      open: ({ file, passphrase }, { directory }) =>
        localRoot.open({ file: file ?? join(directory, LOCAL_FILE), passphrase }),
    };
  },
  pkcs11: async () => (await import('./pkcs11/pkcs11.ts')).pkcs11Root,
  transit: async () => (await import('./transit/transit.ts')).transitRoot,
  'aws-kms': async () => (await import('./aws/aws.ts')).awsKmsRoot,
  'azure-key-vault': async () => (await import('./azure/azure.ts')).azureKeyVaultRoot,
  'gcp-kms': async () => (await import('./gcp/gcp.ts')).gcpKmsRoot,
};

/**
 * The root of these settings, as everything but its own tests uses it.
 * @throws KeywardError `KEYS_ROOT_UNAVAILABLE` | `KEYS_ROOT_REFUSED` | `KEYS_ROOT_UNUSABLE` | `KEYS_ROOT_UNREADABLE` |
 * `CONFIG_SECRET_UNREADABLE`
 */
export async function openRoot(config: RootConfig, context: RootContext): Promise<Root> {
  const definition = (await ROOTS[config.provider]()) as RootDefinition<RootProvider>;
  return resilient(await definition.open(config, context), context);
}
