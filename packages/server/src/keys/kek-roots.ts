/** The roots that KEKs stand on: one, and while the installation moves to another, both. */
import { createDataKey, type DataKey } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { Root } from './roots/root.ts';
import { kekAad } from './wrapping.ts';

/** As a KEK's row names the root that wrapped it. */
export function nameOfRoot(root: Root): string {
  const { provider, key } = root.describe();
  return `${provider}:${key}`;
}

/** As long as its key is not made, or not read yet. */
export const nameBeforeUse = (root: Root): string => `${root.describe().provider}:-`;

const isOf = (root: Root, provider: string | undefined): boolean => root.describe().provider === provider;

/**
 * The root that a row names. A local root has no name before its first use: another custodian may have made its key meanwhile.
 * Rows of before roots had names hold the provider alone. Unwrapping tells whether it was the right one.
 * @throws KeywardError `KEYS_ROOT_MISMATCH`
 */
export function rootNamed(roots: readonly Root[], name: string): Root {
  const [provider] = name.split(':', 1);
  const found =
    roots.find((root) => nameOfRoot(root) === name) ??
    roots.find((root) => name !== provider && nameOfRoot(root) === nameBeforeUse(root) && isOf(root, provider)) ??
    roots.find((root) => isOf(root, provider));
  if (found === undefined)
    throw new KeywardError('KEYS_ROOT_MISMATCH', { detail: 'A KEK stands on a root that is not configured.' });
  return found;
}

interface StoredKek {
  readonly version: number;
  readonly id: Buffer;
  readonly root: string;
  /** Null once it is destroyed. */
  readonly wrapped: Buffer | null;
}

export async function wrapKek(root: Root, tenant: string, version: number, kek: DataKey): Promise<Buffer> {
  const bytes = kek.secret.export();
  try {
    return await root.wrap(bytes, kekAad(tenant, version));
  } finally {
    bytes.fill(0);
  }
}

/** The commitment is computed again: another key than the row names is refused. */
export async function unwrapKek(roots: readonly Root[], tenant: string, row: StoredKek): Promise<DataKey> {
  if (row.wrapped === null) throw new KeywardError('KEYS_STATE_REFUSED');
  const key = createDataKey(await rootNamed(roots, row.root).unwrap(row.wrapped, kekAad(tenant, row.version)));
  if (key.id !== row.id.toString('hex')) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  return key;
}
