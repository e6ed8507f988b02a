export { createCustodian, type Custodian, type CustodianOptions } from './custodian.ts';
export type { RemoteCaller } from './grants.ts';
export type { CustodianCredentials } from './http/credentials.ts';
export { createCustodianServer, type CustodianServer, type CustodianServerOptions } from './http/server.ts';
export { KEYS_MIGRATIONS } from './migrations.ts';
export { localRoot } from './roots/local/local.ts';
export type { Root, RootDescription } from './roots/root.ts';
