/** Which process may use which kinds of data keys. */
import type { KeyKind } from '@keyward/sdk/client';

const GRANTS = {
  gateway: ['subject', 'tenant', 'index', 'cursor', 'ledger', 'pseudonym'],
  store: ['store', 'index'],
  admin: ['ledger', 'pseudonym'],
  /** The ledger inside the custodian's own process. */
  custodian: ['ledger', 'pseudonym'],
} as const satisfies Record<string, readonly KeyKind[]>;

export type Caller = keyof typeof GRANTS;

/** Processes that come over the socket, each with a credential of its own. */
export const REMOTE_CALLERS = ['gateway', 'store', 'admin'] as const satisfies readonly Caller[];
export type RemoteCaller = (typeof REMOTE_CALLERS)[number];

/** Index class of the built-in store; the others belong to the gateway, and neither needs the other's. */
const STORE_INDEX_CLASS = 'store';

/**
 * A kind that is not in the table, as a damaged row may hold, is granted to nobody.
 * @param scope what the key is for: of an index key its class
 */
export function mayUse(caller: Caller, kind: string, scope: string): boolean {
  if (kind === 'index' && (scope === STORE_INDEX_CLASS) !== (caller === 'store')) return false;
  return (GRANTS[caller] as readonly string[]).includes(kind);
}
