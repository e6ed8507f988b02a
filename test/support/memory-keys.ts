/** A key service in memory for tests of rooms that use keys: real keys, no custodian. */
import { KeywardError } from '../../packages/server/src/core/index.ts';
import type { KeySource, KeySpec, KeyUse } from '../../packages/sdk/src/client/index.ts';
import { type DataKey, generateDataKey, type KeyId } from '../../packages/sdk/src/seal/index.ts';

export interface MemoryKeys extends KeySource {
  /** What was asked for, in order. */
  readonly asked: { readonly specs?: readonly KeySpec[]; readonly ids?: readonly KeyId[]; readonly use: KeyUse }[];
  /** Makes the key unknown, as destroying it would. */
  forget(id: KeyId): void;
}

export function createMemoryKeys(): MemoryKeys {
  const bySpec = new Map<string, DataKey>();
  const byId = new Map<KeyId, DataKey>();
  const asked: MemoryKeys['asked'] = [];
  const make = (name: string): DataKey => {
    const key = generateDataKey();
    bySpec.set(name, key);
    byId.set(key.id, key);
    return key;
  };
  const find = (id: KeyId): DataKey => {
    const key = byId.get(id);
    if (key) return key;
    throw new KeywardError('KEYS_UNKNOWN_KEY');
  };
  return {
    asked,
    forget: (id) => void byId.delete(id),
    protect: async (specs, use, seals) => {
      asked.push({ specs, use });
      const keys = specs.map((spec) => bySpec.get(JSON.stringify(spec)) ?? make(JSON.stringify(spec)));
      return keys.map((key, at) => ({ ...key, seals: seals?.[at] ?? 1 }));
    },
    process: async (ids, use) => {
      asked.push({ ids, use });
      return ids.map(find);
    },
  };
}
