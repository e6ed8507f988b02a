/** A root: what wraps the tenant KEKs. An HSM, a KMS, or for development a file. */
import type { RootConfig, RootProvider } from '../../config/index.ts';
import type { Log } from '../../core/index.ts';

export interface RootDescription {
  readonly provider: RootProvider;
  /** The root key as its provider calls it, e.g. an ARN; `-` while there is none yet. No secret. */
  readonly key: string;
  /** Whether the key lives in hardware that it cannot leave, as far as the provider tells. */
  readonly hardware: boolean;
  /** Whether someone with access to where the key lies can copy it. */
  readonly exportable: boolean;
  /** Number of the certificate of the module (NIST CMVP), where the provider tells it. */
  readonly fipsCertificate?: string;
  readonly region?: string;
}

/**
 * `aad` binds what is wrapped to its place. `signal` ends an attempt that takes too long. Everything a root throws is a coded
 * error that holds no key bytes and no credential.
 */
export interface Root {
  /** @throws KeywardError `KEYS_ROOT_UNAVAILABLE` | `KEYS_ROOT_REFUSED` | `KEYS_ROOT_UNREADABLE` */
  wrap(plaintext: Uint8Array, aad: Uint8Array, signal?: AbortSignal): Promise<Buffer>;
  /**
   * The plaintext; the caller owns and wipes it.
   * @throws KeywardError as `wrap`; `KEYS_ROOT_MISMATCH` when another root key wrapped it, `KEYS_NOT_AUTHENTIC` when it or
   * `aad` was changed
   */
  unwrap(wrapped: Uint8Array, aad: Uint8Array, signal?: AbortSignal): Promise<Buffer>;
  describe(): RootDescription;
  /** Ends connections and processes; nothing is wrapped afterwards. */
  close(): Promise<void>;
}

export interface RootContext {
  readonly log: Log;
  /** Folder of the local root key, where its settings name no file. */
  readonly directory: string;
}

/** The settings of one provider. */
export type RootConfigOf<Provider extends RootProvider> = Extract<RootConfig, { provider: Provider }>;

/**
 * One provider. Its settings were checked by `config`. `open` looks the key up and refuses one that it should not stand on; what
 * it returns is used through `resilient()` only. Every root passes `conformance.ts`.
 */
export interface RootDefinition<Provider extends RootProvider> {
  open(config: RootConfigOf<Provider>, context: RootContext): Promise<Root>;
}
