/** The admin room's front door: the HTTPS API for the CLI, for probes and for Prometheus. */
export type { KeyCall } from './key-management.ts';
export { LEDGER_LIMIT_MAX_ENTRIES } from './queries.ts';
export { type AdminServer, createAdminServer } from './server.ts';
