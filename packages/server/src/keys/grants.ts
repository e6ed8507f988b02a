/** Which process may use which kinds of data keys. */
import type { KeyKind } from '@keyward/sdk/client';

const GRANTS = {
  gateway: ['subject', 'tenant', 'index', 'cursor', 'ledger', 'pseudonym'],
  store: ['store', 'index', 'tenant', 'ledger', 'pseudonym'],
  admin: ['ledger', 'pseudonym'],
  /** The ledger inside the custodian's own process. */
  custodian: ['ledger', 'pseudonym'],
} as const satisfies Record<string, readonly KeyKind[]>;

export type Caller = keyof typeof GRANTS;

/** Processes that come over the socket, each with a credential of its own. */
export const REMOTE_CALLERS = ['gateway', 'store', 'admin'] as const satisfies readonly Caller[];
export type RemoteCaller = (typeof REMOTE_CALLERS)[number];

/** A kind that is not in the table, as a damaged row may hold, is granted to nobody. */
export const mayUse = (caller: Caller, kind: string): boolean => (GRANTS[caller] as readonly string[]).includes(kind);
