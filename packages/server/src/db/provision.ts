/** Databases and roles of the processes: one each, so that none can read what another keeps. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { type ClientBase, escapeIdentifier, escapeLiteral } from 'pg';
import { type ConnectionConfig, DATABASE_USERS, type DatabaseUser, SUPERUSER_ROLE } from './connection.ts';
import { openPool, withClient } from './pool.ts';

export interface ProvisionInputs {
  /** A superuser's connection. */
  readonly admin: ConnectionConfig;
  readonly passwords: Readonly<Record<DatabaseUser, string>>;
}

/** Nobody who serves requests owns the ledger: an owner could drop what it may not change. */
const OWNERS = {
  keyward_keys: DATABASE_USERS.custodian.role,
  keyward_ledger: SUPERUSER_ROLE,
  keyward_store: DATABASE_USERS.store.role,
} as const;

/** Databases PostgreSQL itself makes, open to everybody unless closed. */
const BUILT_IN_DATABASES = ['postgres', 'template1'] as const;

const ROLE_LIMITS = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';

/** Safe to run at every start; passwords become those of the secret files again. */
export async function provision({ admin, passwords }: ProvisionInputs): Promise<void> {
  const pool = openPool(admin, { max: 1, applicationName: 'keyward provision' });
  try {
    await withClient(pool, async (client) => {
      for (const [user, { role }] of entriesOf(DATABASE_USERS)) await provisionRole(client, role, passwords[user]);
      for (const [database, owner] of entriesOf(OWNERS)) await provisionDatabase(client, database, owner);
      for (const database of BUILT_IN_DATABASES) await closeToPublic(client, database);
      for (const { role, database } of Object.values(DATABASE_USERS)) await allowConnect(client, role, database);
    });
  } finally {
    await pool.end();
  }
}

const entriesOf = <K extends string, V>(table: Readonly<Record<K, V>>) => Object.entries(table) as [K, V][];

async function provisionRole(client: ClientBase, role: string, password: string): Promise<void> {
  const name = escapeIdentifier(role);
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
  if (!rowCount) await client.query(`CREATE ROLE ${name}`);
  await client.query(`ALTER ROLE ${name} WITH ${ROLE_LIMITS} PASSWORD ${escapeLiteral(scramVerifier(password))}`);
}

async function provisionDatabase(client: ClientBase, database: string, owner: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
  if (!rowCount) await client.query(`CREATE DATABASE ${escapeIdentifier(database)} OWNER ${escapeIdentifier(owner)}`);
  await closeToPublic(client, database);
}

async function closeToPublic(client: ClientBase, database: string): Promise<void> {
  await client.query(`REVOKE ALL ON DATABASE ${escapeIdentifier(database)} FROM PUBLIC`);
}

async function allowConnect(client: ClientBase, role: string, database: string): Promise<void> {
  await client.query(`GRANT CONNECT ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(role)}`);
}

/** PostgreSQL's own default (scram_iterations). */
const SCRAM_ITERATIONS = 4096;
const SCRAM_SALT_BYTES = 16;

/**
 * What PostgreSQL stores of a password (RFC 5803). Sent instead of it, since a statement can be seen in pg_stat_activity.
 * Our passwords are ASCII, so SASLprep changes nothing.
 */
function scramVerifier(password: string, salt = randomBytes(SCRAM_SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
