/** The Azure root: a key of a Key Vault or a Managed HSM. Credentials come from Azure's own chain. */
import type { TokenCredential } from '@azure/identity';
import type { KeyClientOptions } from '@azure/keyvault-keys';
import { loadSdk } from '../cloud/sdk.ts';
import { envelopeRoot, type RootCipher } from '../envelope.ts';
import { rootFailure } from '../failure.ts';
import type { Root, RootConfigOf, RootDescription } from '../root.ts';
import { checkState, kindOf, type WrappingKind } from './key-check.ts';
import { createSigner, type Signer } from './signer.ts';
import { openVaultKey, type VaultKey } from './vault-key.ts';

const PACKAGES = ['@azure/keyvault-keys', '@azure/identity'];

/** What tests replace. */
interface Seams {
  readonly credential?: TokenCredential;
  readonly client?: KeyClientOptions;
}

export const azureKeyVaultRoot = {
  async open(config: RootConfigOf<'azure-key-vault'>, _context: unknown, seams: Seams = {}): Promise<Root> {
    const sdk = await loadSdk(PACKAGES, () => import('@azure/keyvault-keys'));
    const credential = seams.credential ?? (await defaultCredential());
    const open = (id: string) => openVaultKey({ sdk, credential, options: seams.client ?? {} }, id);
    const key = await open(config.key);
    const kind = kindOf(key.found);
    checkState(key.found, 'unwrap', new Date());
    const signer = kind.needsSignature ? await signerOf(config.signingKey, open) : undefined;
    const { hardware } = kind;
    const exportable = key.found.properties.exportable === true;
    const name = [config.key, signer?.id].filter(Boolean).join(' ');
    return envelopeRoot(
      azureCipher(key, kind, signer, { provider: 'azure-key-vault', key: name, hardware, exportable }),
    );
  },
};

async function defaultCredential(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await loadSdk(PACKAGES, () => import('@azure/identity'));
  return new DefaultAzureCredential();
}

async function signerOf(id: string | undefined, open: (id: string) => Promise<VaultKey>): Promise<Signer> {
  if (id !== undefined) return createSigner(await open(id));
  const why = 'Anyone can encrypt under the public key of an RSA key: set keys.root.signingKey to an EC P-256 key.';
  throw rootFailure('KEYS_ROOT_UNUSABLE', why);
}

/** The state is asked for before each use: what the vault lets pass is not what NIST SP 800-57 lets pass. */
function azureCipher(
  key: VaultKey,
  kind: WrappingKind,
  signer: Signer | undefined,
  description: RootDescription,
): RootCipher {
  const checked = async (use: 'wrap' | 'unwrap', signal?: AbortSignal) => {
    const found = await key.get(signal);
    checkState(found, use, new Date());
  };
  return {
    async encrypt(secret, context, signal) {
      await checked('wrap', signal);
      const encrypted = await key.wrap(kind.algorithm, secret, signal);
      return signer ? signer.sign(encrypted, context, signal) : encrypted;
    },
    async decrypt(ciphertext, context, signal) {
      const encrypted = signer ? await signer.verified(ciphertext, context, signal) : ciphertext;
      await checked('unwrap', signal);
      return key.unwrap(kind.algorithm, encrypted, signal);
    },
    describe: () => description,
    // The SDK keeps no connection that would hold the process.
    close: async () => undefined,
  };
}
