/** A root: what wraps the tenant KEKs. An HSM, a KMS, or for development a file. */
import type { z } from 'zod';

interface RootDescription {
  /** Name of the root's definition, e.g. `local`. */
  readonly provider: string;
  /** Whether the key lives in hardware that it cannot leave. */
  readonly hardware: boolean;
  /** Whether someone with access to this machine can copy the key. */
  readonly exportable: boolean;
}

/** `aad` binds what is wrapped to its place. Everything a root throws is a coded error that holds no key bytes. */
export interface Root {
  wrap(plaintext: Uint8Array, aad: Uint8Array): Promise<Buffer>;
  /**
   * The plaintext; the caller owns and wipes it.
   * @throws KeywardError `KEYS_ROOT_MISMATCH` when another root key wrapped it, `KEYS_NOT_AUTHENTIC` when it or `aad` was
   * changed, `KEYS_ROOT_UNREADABLE` when there is no root key to be had
   */
  unwrap(wrapped: Uint8Array, aad: Uint8Array): Promise<Buffer>;
  describe(): RootDescription;
}

export interface RootDefinition<Config> {
  readonly name: string;
  /** Its settings; whatever is not in there is refused. */
  readonly config: z.ZodType<Config>;
  open(config: Config): Promise<Root>;
}

/** A root whose settings are checked before it is opened. Every root passes `conformance.ts`. */
export const defineRoot = <Config>(definition: RootDefinition<Config>): RootDefinition<Config> => ({
  ...definition,
  open: async (config) => definition.open(definition.config.parse(config)),
});
