/** The tables of the key database. What lies here is worthless without the root key. */
import type { Migration } from '../db/index.ts';

/** The list of states is repeated from `lifecycle.ts`, since an applied migration must never change; a test compares. */
export const KEYS_MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'keks and data keys',
    sql: `
      CREATE TABLE kek (
        tenant text NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        id bytea NOT NULL UNIQUE CHECK (octet_length(id) = 16),
        state text NOT NULL
          CHECK (state IN ('pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed')),
        root text NOT NULL,
        wrapped bytea NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (tenant, version)
      );
      CREATE UNIQUE INDEX kek_active ON kek (tenant) WHERE state = 'active';

      CREATE TABLE data_key (
        id bytea PRIMARY KEY CHECK (octet_length(id) = 16),
        tenant text NOT NULL,
        kind text NOT NULL,
        scope text NOT NULL,
        kek_version integer NOT NULL,
        state text NOT NULL
          CHECK (state IN ('pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed')),
        wrapped bytea NOT NULL,
        created_at timestamptz NOT NULL,
        FOREIGN KEY (tenant, kek_version) REFERENCES kek (tenant, version)
      );
      CREATE UNIQUE INDEX data_key_active ON data_key (tenant, kind, scope) WHERE state = 'active';
      CREATE INDEX data_key_by_kek ON data_key (tenant, kek_version);
    `,
  },
  {
    version: 2,
    name: 'data keys by what they are for',
    sql: 'CREATE INDEX data_key_by_spec ON data_key (tenant, kind, scope);',
  },
];
