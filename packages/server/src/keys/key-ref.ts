/** How people and rows name keys: `kek/3`, `key/<32 hex digits>`, `subject/<uuid>`, `tenant`, `index/family`. */
import { type KeyKind } from '@keyward/sdk/client';
import { KeywardError } from '../core/index.ts';

export type KeyRef =
  /** One version of the tenant's KEK. */
  | { readonly kek: number }
  /** One version of a data key. */
  | { readonly key: string }
  /** Every version of the data key of one spec. */
  | { readonly kind: KeyKind; readonly scope: string };

const KINDS: readonly KeyKind[] = ['subject', 'tenant', 'index', 'store', 'cursor', 'ledger', 'pseudonym'];

/** @throws KeywardError `KEYS_REF_INVALID` */
export function parseKeyRef(text: string): KeyRef {
  const [, head = '', tail] = /^([a-z]+)(?:\/(.+))?$/.exec(text) ?? [];
  if (head === 'kek' && /^[1-9]\d{0,8}$/.test(tail ?? '')) return { kek: Number(tail) };
  if (head === 'key' && /^[0-9a-f]{32}$/.test(tail ?? '')) return { key: tail as string };
  const kind = KINDS.find((each) => each === head);
  if (kind !== undefined) return { kind, scope: tail ?? '' };
  throw new KeywardError('KEYS_REF_INVALID');
}

export function formatKeyRef(ref: KeyRef): string {
  if ('kek' in ref) return `kek/${ref.kek}`;
  if ('key' in ref) return `key/${ref.key}`;
  return ref.scope === '' ? ref.kind : `${ref.kind}/${ref.scope}`;
}
