/** The database room: what others may use of it. */
export { postgresVersion } from './binaries.ts';
export {
  type ConnectionConfig,
  connectionFor,
  databasePasswords,
  type DatabaseUser,
  superuserConnection,
} from './connection.ts';
export { type EmbeddedPostgres, type EmbeddedPostgresInputs, startEmbeddedPostgres } from './embedded.ts';
export { migrate, type Migration } from './migrate.ts';
export { mapDbError, openPool, type PoolOptions, withClient, withTransaction } from './pool.ts';
export { clearLeftovers } from './postmaster.ts';
export { provision, type ProvisionInputs } from './provision.ts';
