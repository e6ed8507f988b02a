/** Which process may use which kinds of data keys for what. */
import type { KeyKind, KeyOperation } from '@keyward/sdk/client';
import { PURPOSES_OF_USE } from '../core/index.ts';

type Row = Partial<Record<KeyKind, readonly KeyOperation[]>>;

const BOTH = ['protect', 'process'] as const;
/** Originator use alone: it writes, and nobody who holds its credential can have what it wrote before opened. */
const PROTECT = ['protect'] as const;

const GRANTS = {
  gateway: { subject: BOTH, tenant: BOTH, index: PROTECT, cursor: BOTH, ledger: PROTECT, pseudonym: PROTECT },
  store: { store: BOTH, index: PROTECT },
  /** Reads the ledger for auditors. */
  admin: { ledger: BOTH, pseudonym: PROTECT },
  /** The ledger inside the custodian's own process. */
  custodian: { ledger: PROTECT, pseudonym: PROTECT },
} as const satisfies Record<string, Row>;

export type Caller = keyof typeof GRANTS;

/** A process's own work, on nobody's behalf. */
const SYSTEM = ['SYSTEM'] as const;

/** For which purposes: only the gateway works on behalf of people. */
const PURPOSES: Readonly<Record<Caller, readonly string[]>> = {
  gateway: [...SYSTEM, ...PURPOSES_OF_USE],
  store: SYSTEM,
  admin: SYSTEM,
  custodian: SYSTEM,
};

export const mayActFor = (caller: Caller, purpose: string): boolean => PURPOSES[caller].includes(purpose);

/** Processes that come over the socket, each with a credential of its own. */
export const REMOTE_CALLERS = ['gateway', 'store', 'admin'] as const satisfies readonly Caller[];
export type RemoteCaller = (typeof REMOTE_CALLERS)[number];

/** Index class of the built-in store; the others belong to the gateway, and neither needs the other's. */
const STORE_INDEX_CLASS = 'store';

const DAY_MS = 86_400_000;

/** What is asked for: as it is in a request, or in a row of the database. */
export interface Wanted {
  readonly kind: string;
  /** What the key is for: of an index key its class, of a ledger key its day. */
  readonly scope: string;
}

/** A kind that is not in the table, as a damaged row may hold, is granted to nobody. */
export function mayUse(caller: Caller, operation: KeyOperation, { kind, scope }: Wanted, now: Date): boolean {
  if (kind === 'index' && (scope === STORE_INDEX_CLASS) !== (caller === 'store')) return false;
  if (kind === 'ledger' && operation === 'protect' && !isAboutToday(scope, now)) return false;
  const row: Row = GRANTS[caller];
  return Object.hasOwn(row, kind) && row[kind as KeyKind]!.includes(operation);
}

/** Nobody writes the ledger of other days. One day to either side, since clocks differ and a request may wait over midnight. */
function isAboutToday(day: string, now: Date): boolean {
  const today = Math.floor(now.getTime() / DAY_MS);
  return Math.abs(Date.parse(`${day}T00:00:00Z`) / DAY_MS - today) <= 1;
}
