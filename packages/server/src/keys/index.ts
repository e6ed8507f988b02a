/** keys: the custodian, its API over a Unix socket, its tables, and the roots it can stand on. */
export { createCustodian, type Custodian } from './custodian.ts';
export type { CustodianCredentials } from './http/credentials.ts';
export { createCustodianServer, type CustodianServer } from './http/server.ts';
export { KEYS_MIGRATIONS } from './migrations.ts';
export { localRoot } from './roots/local/local.ts';
