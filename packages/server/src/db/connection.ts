/** Who connects where: databases, roles, and the connection of each process to the embedded server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DataPaths, KeywardError } from '../core/index.ts';
import { readOrCreateSecret } from '../config/index.ts';

export interface ConnectionConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export const SUPERUSER_ROLE = 'keyward_superuser';

/** One row per kind of caller. The superuser provisions and migrates the ledger; nothing that serves requests is it. */
export const DATABASE_USERS = {
  custodian: { role: 'keyward_custodian', database: 'keyward_keys', secret: 'db-custodian' },
  'ledger-writer': { role: 'keyward_ledger_writer', database: 'keyward_ledger', secret: 'db-ledger-writer' },
  'ledger-reader': { role: 'keyward_ledger_reader', database: 'keyward_ledger', secret: 'db-ledger-reader' },
  store: { role: 'keyward_store', database: 'keyward_store', secret: 'db-store' },
} as const;

export type DatabaseUser = keyof typeof DATABASE_USERS;

/** A process's own connection. Ask again after a failure: the port may have changed with a restart. */
export function connectionFor(paths: DataPaths, user: DatabaseUser): ConnectionConfig {
  const { role, database, secret } = DATABASE_USERS[user];
  return { ...readAddress(paths), user: role, password: readOrCreateSecret(paths, secret), database };
}

/** The password of each user, made when there is none yet. */
export function databasePasswords(paths: DataPaths): Record<DatabaseUser, string> {
  const users = Object.keys(DATABASE_USERS) as DatabaseUser[];
  const passwords = users.map((user) => [user, readOrCreateSecret(paths, DATABASE_USERS[user].secret)]);
  return Object.fromEntries(passwords) as Record<DatabaseUser, string>;
}

/** The superuser's connection, for provisioning and for migrations of what no process may own. */
export function superuserConnection(paths: DataPaths, database = 'postgres'): ConnectionConfig {
  return { ...readAddress(paths), user: SUPERUSER_ROLE, password: readOrCreateSecret(paths, 'db-superuser'), database };
}

/** File in which a running embedded server leaves its address. */
export const addressFile = (paths: DataPaths): string => join(paths.run, 'postgres.json');

interface Address {
  readonly host: string;
  readonly port: number;
}

function readAddress(paths: DataPaths): Address {
  const address = lastAddress(paths);
  if (address) return address;
  throw new KeywardError('DB_UNAVAILABLE', {
    detail: 'The embedded PostgreSQL was never started on this data directory.',
  });
}

/** Where the server listened last; undefined before the first start. */
export function lastAddress(paths: DataPaths): Address | undefined {
  try {
    const { host, port } = JSON.parse(readFileSync(addressFile(paths), 'utf8')) as Partial<Address>;
    return typeof host === 'string' && Number.isInteger(port) && port ? { host, port } : undefined;
  } catch {
    return undefined;
  }
}
