/** The custodian: decides who gets which key, records it, and only then opens it. */
import { createKeyCache, type KeyCacheOptions, type KeyService, type KeySpec, type KeyUse } from '@keyward/sdk/client';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import type { AuditSink, Clock, Log } from '../core/index.ts';
import { createAccessEvents } from './access-events.ts';
import { createDataKeys } from './data-keys.ts';
import { processRequest, protectRequest, serveKeys, type Witness } from './desk.ts';
import type { Caller, RemoteCaller } from './grants.ts';
import { createKeks } from './keks.ts';
import { query } from './query.ts';
import { createRecorder } from './recorder.ts';
import type { Root } from './roots/root.ts';
import { createOwnWitness, createWitness } from './witnesses.ts';

export interface CustodianOptions {
  /** On the key database, migrated. */
  readonly pool: Pool;
  readonly root: Root;
  /** Not called before the first key is asked for, so the ledger behind it may be made from `ownLedgerKeys()`. */
  readonly audit: AuditSink;
  readonly tenant: string;
  readonly clock: Clock;
  /** Bounds of the keys that the ledger in this process holds. */
  readonly ownKeys: KeyCacheOptions;
  readonly log: Log;
}

export interface Custodian {
  /** The active key of each spec, in order; made where there never was one. */
  protect(caller: RemoteCaller, specs: readonly KeySpec[], use: KeyUse): Promise<DataKey[]>;
  /** The keys with these ids, in order. */
  process(caller: RemoteCaller, ids: readonly KeyId[], use: KeyUse): Promise<DataKey[]>;
  /**
   * The keys of the ledger in this very process, which cannot record beforehand that it fetches what it records with. Order
   * at start: custodian, then the ledger from these keys, then the server. Such an access is written right behind the entry
   * that caused it, and no key leaves this process before that is durable too. They are held as long as `ownKeys` says, so that
   * an entry does not wait for the database, and a key that is fetched again is not recorded again.
   */
  ownLedgerKeys(): KeyService;
  /** Records that somebody without a registered credential asked. */
  recordStranger(correlationId: string): Promise<void>;
  /** Whether the key database answers. */
  ready(): Promise<boolean>;
}

/**
 * Opens the tenant's KEK, or makes the first one.
 * @throws KeywardError `KEYS_ROOT_MISMATCH` | `KEYS_ROOT_UNREADABLE` | `KEYS_NOT_AUTHENTIC` | `DB_UNAVAILABLE`
 */
export async function createCustodian(options: CustodianOptions): Promise<Custodian> {
  const { pool, root, audit, tenant, clock, ownKeys, log } = options;
  const keks = createKeks({ pool, root, tenant, clock });
  const dataKeys = createDataKeys({ pool, tenant, keks, clock });
  const events = createAccessEvents(tenant, clock);
  const recorder = createRecorder(audit);
  const kek = await keks.start();
  if (kek) recorder.defer(events.kekOpened(kek.id, kek.created));
  if (root.describe().exportable) log.warn('the root key can be copied: for development only');

  const serviceOf = (caller: Caller, witness: Witness): KeyService => ({
    protect: (specs, use) => serveKeys({ dataKeys, witness, clock }, protectRequest(caller, specs, use)),
    process: (ids, use) => serveKeys({ dataKeys, witness, clock }, processRequest(caller, ids, use)),
  });
  const witness = createWitness(events, recorder, log);
  const own = createKeyCache(serviceOf('custodian', createOwnWitness(events, recorder, log)), ownKeys);
  return {
    protect: (caller, specs, use) => serviceOf(caller, witness).protect(specs, use),
    process: (caller, ids, use) => serviceOf(caller, witness).process(ids, use),
    ownLedgerKeys: () => own,
    recordStranger: (correlationId) => recorder.record([events.stranger(correlationId)]),
    ready: () => answers(pool),
  };
}

async function answers(pool: Pool): Promise<boolean> {
  try {
    await query(pool, 'SELECT 1', []);
    return true;
  } catch {
    return false;
  }
}
