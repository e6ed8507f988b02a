/** The built-in FHIR R4 store on PostgreSQL: an upstream like any other, whose database holds ciphertext and blind indexes only. */
export { Bodies } from './bodies.ts';
export { STORE_MIGRATIONS } from './migrations.ts';
export { createStoreServer } from './server.ts';
