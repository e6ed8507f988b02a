/** The ledger room: what others may use of it. */
export { createLedger, type Ledger, type LedgerInputs } from './ledger.ts';
export { LEDGER_MIGRATIONS } from './migrations.ts';
export { type KeyUses, usesOfKeys } from './uses.ts';
export { type LedgerEntry, type LedgerReader, readLedger, type TailQuery } from './read.ts';
