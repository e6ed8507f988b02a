/** The store's tables: sealed bodies, and indexes of nothing but blind tokens, references, codes, dates and quantities. */
import type { Migration } from '../db/index.ts';

/** Columns of each index table besides `type` and `id`; the DDL below, the inserts and `_at-rest` agree on them. */
export const INDEX_TABLES = {
  index_blind: { param: 'text', token: 'text' },
  index_code: { param: 'text', system: 'text', code: 'text' },
  index_date: { param: 'text', start_at: 'timestamptz', end_at: 'timestamptz' },
  index_quantity: { param: 'text', value: 'float8', system: 'text', code: 'text' },
  index_reference: { param: 'text', target_type: 'text', target_id: 'text' },
} as const;

export type IndexTable = keyof typeof INDEX_TABLES;
export const INDEX_TABLE_NAMES = Object.keys(INDEX_TABLES) as IndexTable[];

export const STORE_MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'resources, versions and search indexes',
    sql: `
CREATE TABLE resource (
  type text NOT NULL,
  id text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  last_updated timestamptz NOT NULL,
  deleted boolean NOT NULL,
  PRIMARY KEY (type, id)
);
CREATE INDEX resource_by_time ON resource (type, last_updated, id) WHERE NOT deleted;

CREATE TABLE resource_version (
  type text NOT NULL,
  id text NOT NULL,
  version integer NOT NULL,
  last_updated timestamptz NOT NULL,
  method text NOT NULL CHECK (method IN ('POST', 'PUT', 'DELETE')),
  body bytea CHECK ((body IS NULL) = (method = 'DELETE')),
  PRIMARY KEY (type, id, version),
  FOREIGN KEY (type, id) REFERENCES resource
);
-- Ciphertext does not compress.
ALTER TABLE resource_version ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE index_blind (type text NOT NULL, id text NOT NULL, param text NOT NULL, token text NOT NULL);
CREATE INDEX index_blind_by_token ON index_blind (type, param, token, id);
CREATE INDEX index_blind_by_resource ON index_blind (type, id);

CREATE TABLE index_code (type text NOT NULL, id text NOT NULL, param text NOT NULL, system text NOT NULL, code text NOT NULL);
CREATE INDEX index_code_by_code ON index_code (type, param, code, system, id);
CREATE INDEX index_code_by_resource ON index_code (type, id);

-- Half-open interval: a date is its first instant and the first instant after it.
CREATE TABLE index_date (type text NOT NULL, id text NOT NULL, param text NOT NULL, start_at timestamptz NOT NULL, end_at timestamptz NOT NULL);
CREATE INDEX index_date_by_start ON index_date (type, param, start_at, end_at, id);
CREATE INDEX index_date_by_resource ON index_date (type, id);

CREATE TABLE index_quantity (type text NOT NULL, id text NOT NULL, param text NOT NULL, value float8 NOT NULL, system text NOT NULL, code text NOT NULL);
CREATE INDEX index_quantity_by_value ON index_quantity (type, param, value, id);
CREATE INDEX index_quantity_by_resource ON index_quantity (type, id);

CREATE TABLE index_reference (type text NOT NULL, id text NOT NULL, param text NOT NULL, target_type text NOT NULL, target_id text NOT NULL);
CREATE INDEX index_reference_by_target ON index_reference (type, param, target_id, target_type, id);
CREATE INDEX index_reference_by_resource ON index_reference (type, id);
`,
  },
];
