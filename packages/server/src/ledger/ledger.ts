/** The ledger as its writers see it: `record` returns when the events are durable, or fails so that the caller fails closed. */
import type { KeyService } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { asKeywardError, type AuditEvent, type AuditSink, type Clock, KeywardError, type Log } from '../core/index.ts';
import { createGroupCommit } from './group-commit.ts';
import { insertEntries } from './insert.ts';
import { createKeyring } from './keyring.ts';
import { sealEntries, type SealedEntry } from './sealed-entry.ts';
import { splitEvent } from './split.ts';

export interface LedgerInputs {
  /** Connects as `keyward_ledger_writer`; one connection is enough. */
  readonly pool: Pool;
  /**
   * Gives the pseudonym key and day keys, and is asked for each call of `record`: a cache. The custodian must not wait for this
   * ledger's `record` before it hands these to it.
   */
  readonly keys: KeyService;
  readonly tenant: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Longest a caller of `record` waits. */
  readonly deadlineMs: number;
  /** Most entries in one commit. */
  readonly maxBatch: number;
}

export interface Ledger extends AuditSink {
  /** Refuses new events and resolves when those accepted are durable or have failed. */
  close(): Promise<void>;
}

export function createLedger(inputs: LedgerInputs): Ledger {
  const { pool, tenant, deadlineMs, maxBatch } = inputs;
  const keyring = createKeyring(inputs);
  const group = createGroupCommit<SealedEntry>({
    commit: (batch) => insertEntries(pool, batch, deadlineMs),
    isTransient: (error) => error instanceof KeywardError && error.code === 'DB_UNAVAILABLE',
    maxBatch,
    failure: unavailable,
  });
  const open = new Set<Promise<void>>();
  let closed = false;

  const append = async (events: readonly AuditEvent[]) => {
    const giveUpAt = performance.now() + deadlineMs;
    const parts = events.flatMap((event) => splitEvent(requireTenant(event, tenant)));
    const keys = await keyring(parts.length).catch((cause: unknown) => Promise.reject(unavailable(cause)));
    await group.add(sealEntries(parts, keys), giveUpAt - performance.now());
  };

  const record = async (events: readonly AuditEvent[]) => {
    if (closed) throw unavailable(undefined);
    const appended = append(events);
    open.add(appended);
    try {
      await appended;
    } catch (error) {
      inputs.log.error('ledger entry not recorded', { code: asKeywardError(error).code, count: events.length, error });
      throw error;
    } finally {
      open.delete(appended);
    }
  };

  const close = async () => {
    closed = true;
    await Promise.allSettled(open);
    await group.drained();
  };
  return { record, close };
}

const unavailable = (cause: unknown): KeywardError => new KeywardError('LEDGER_UNAVAILABLE', { cause });

/** Pseudonyms and day keys belong to one tenant; an event of another would be sealed under keys its tenant cannot shred. */
function requireTenant(event: AuditEvent, tenant: string): AuditEvent {
  if (event.tenant === tenant) return event;
  throw new KeywardError('CORE_INTERNAL', { detail: 'A ledger entry names a tenant this ledger does not serve.' });
}
