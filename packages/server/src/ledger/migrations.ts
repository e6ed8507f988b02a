/** The ledger's table: rows can be added and read, and by nobody changed or removed. */
import type { Migration } from '../db/index.ts';

export const LEDGER_MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'entries',
    // The writer may read `id` because ON CONFLICT (id) has to. ALWAYS: the trigger fires under session_replication_role too.
    sql: `
      CREATE TABLE ledger_entries (
        position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id          uuid NOT NULL UNIQUE,
        at          timestamptz NOT NULL,
        class       text NOT NULL,
        tenant      text NOT NULL,
        actor       bytea NOT NULL CHECK (octet_length(actor) = 16),
        subjects    bytea[] NOT NULL,
        key_ids     bytea[] NOT NULL,
        correlation uuid NOT NULL,
        body        bytea NOT NULL,
        leaf_hash   bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
      );
      CREATE INDEX ledger_entries_correlation ON ledger_entries (correlation);

      CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege'; END
      $$;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
      ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER append_only;

      GRANT INSERT, SELECT (id) ON ledger_entries TO keyward_ledger_writer;
      GRANT SELECT ON ledger_entries TO keyward_ledger_reader;
    `,
  },
  {
    version: 2,
    name: 'order of transactions',
    // The writer may name only what it knows: order is the server's to give, or a writer could hide its entries from followers.
    sql: `
      ALTER TABLE ledger_entries ADD COLUMN transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id();
      CREATE INDEX ledger_entries_order ON ledger_entries (transaction_id, position);

      REVOKE INSERT ON ledger_entries FROM keyward_ledger_writer;
      GRANT INSERT (id, at, class, tenant, actor, subjects, key_ids, correlation, body, leaf_hash)
        ON ledger_entries TO keyward_ledger_writer;
    `,
  },
  {
    version: 3,
    name: 'entries by time',
    // Entries come in about the order of time, so that a summary of each range of blocks is enough, and costs writers nothing.
    sql: 'CREATE INDEX ledger_entries_time ON ledger_entries USING brin (at);',
  },
];
