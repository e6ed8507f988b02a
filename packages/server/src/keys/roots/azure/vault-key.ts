/** One version of one key in a vault: what is asked of it, and what its refusals mean. */
import type { TokenCredential } from '@azure/identity';
import type { KeyClientOptions, KeyVaultKey, KeyWrapAlgorithm } from '@azure/keyvault-keys';
import { type FaultTable, faultOf } from '../cloud/fault.ts';
import { rootFailure } from '../failure.ts';

export interface VaultAccess {
  readonly sdk: typeof import('@azure/keyvault-keys');
  readonly credential: TokenCredential;
  readonly options: KeyClientOptions;
}

export interface VaultKey {
  readonly id: string;
  /** As it was when it was opened. */
  readonly found: KeyVaultKey;
  get(signal?: AbortSignal): Promise<KeyVaultKey>;
  wrap(algorithm: KeyWrapAlgorithm, secret: Uint8Array, signal?: AbortSignal): Promise<Buffer>;
  unwrap(algorithm: KeyWrapAlgorithm, encrypted: Buffer, signal?: AbortSignal): Promise<Buffer>;
  /** ES256 over a SHA-256 digest. */
  sign(digest: Buffer, signal?: AbortSignal): Promise<Buffer>;
}

/** Codes of the Key Vault REST API and of Azure's credentials. The rest goes by its status. */
// biome-ignore format: a table
const FAULTS: FaultTable = {
  Forbidden:                  'KEYS_ROOT_REFUSED',
  KeyDisabled:                'KEYS_ROOT_REFUSED',
  KeyNotFound:                'KEYS_ROOT_REFUSED',
  AuthenticationError:        'KEYS_ROOT_REFUSED',
  Throttled:                  'KEYS_ROOT_UNAVAILABLE',
  /** No credentials to be had: of a managed identity, that passes with its metadata service. */
  CredentialUnavailableError: 'KEYS_ROOT_UNAVAILABLE',
};

/** To an unwrap, a bad parameter is the ciphertext: nothing else of the request varies. */
const UNWRAP_FAULTS: FaultTable = { ...FAULTS, BadParameter: 'KEYS_NOT_AUTHENTIC' };

export async function openVaultKey({ sdk, credential, options }: VaultAccess, id: string): Promise<VaultKey> {
  const { vaultUrl, name, version } = partsOf(id);
  // Attempts, pauses and time limits are those of `resilient`.
  const clientOptions = { ...options, retryOptions: { maxRetries: 0 } };
  const keys = new sdk.KeyClient(vaultUrl, credential, clientOptions);
  const get = async (signal?: AbortSignal) => {
    const key = await ask(FAULTS, keys.getKey(name, { version, ...during(signal) }));
    if (!isSameKey(key.id, id)) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered with another key.');
    return key;
  };
  const found = await get();
  const cryptography = new sdk.CryptographyClient(asConfigured(id, found), credential, clientOptions);
  return {
    id,
    found,
    get,
    wrap: async (algorithm, secret, signal) =>
      bytesFrom(await ask(FAULTS, cryptography.wrapKey(algorithm, secret, during(signal)))),
    unwrap: async (algorithm, encrypted, signal) =>
      bytesFrom(await ask(UNWRAP_FAULTS, cryptography.unwrapKey(algorithm, encrypted, during(signal)))),
    sign: async (digest, signal) => bytesFrom(await ask(FAULTS, cryptography.sign('ES256', digest, during(signal)))),
  };
}

/**
 * What the SDK's client of cryptography goes by. It asks at the address in the key's id: that is ours, whatever the vault called
 * it. And it would refuse to unwrap with an expired key, by what it was told once: `checkState` judges what is now.
 */
function asConfigured(id: string, key: KeyVaultKey): KeyVaultKey {
  const { expiresOn: _expiresOn, notBefore: _notBefore, ...properties } = key.properties;
  return { ...key, id, properties };
}

function partsOf(id: string): { vaultUrl: string; name: string; version: string } {
  const { origin, pathname } = new URL(id);
  const [, , name = '', version = ''] = pathname.split('/');
  return { vaultUrl: origin, name, version };
}

/** Vaults write the port or leave it out. */
const isSameKey = (answered: string | undefined, asked: string): boolean =>
  answered !== undefined && URL.parse(answered)?.pathname === new URL(asked).pathname;

async function ask<Answer>(faults: FaultTable, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (thrown) {
    throw faultOf('Azure Key Vault', faults, thrown);
  }
}

const during = (signal?: AbortSignal) => (signal ? { abortSignal: signal } : {});

/** A copy that the caller owns; the SDK's is wiped. */
function bytesFrom({ result }: { readonly result: Uint8Array }): Buffer {
  const copy = Buffer.from(result);
  result.fill(0);
  return copy;
}
