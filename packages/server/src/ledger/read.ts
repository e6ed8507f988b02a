/** Reads the ledger: newest entries or those that followed, each checked against its leaf hash and opened. */
import type { KeyService } from '@keyward/sdk/client';
import { type DataKey, envelopeKeyId, type KeyId, SealError } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import { type AuditEvent, type EventClass, newUuid } from '../core/index.ts';
import { withClient } from '../db/index.ts';
import { isIntact, openEntry, type SealedEntry } from './sealed-entry.ts';

export interface LedgerEntry {
  /** Names the entry, and follows the order of insertion within one transaction. Another's lower positions can come later. */
  readonly position: bigint;
  readonly id: string;
  readonly at: Date;
  readonly class: EventClass;
  /** 64 hex digits. */
  readonly leafHash: string;
  /** False when the stored bytes are not those that were recorded. */
  readonly intact: boolean;
  /** Absent when the entry is not intact, or when its day key is destroyed or unknown. */
  readonly event?: AuditEvent;
}

export interface TailQuery {
  /** At most 1000. */
  readonly limit: number;
  /** Oldest settled entries behind the one with this position, 0 for the first; without it, the newest there are. */
  readonly after?: bigint | undefined;
  /** Of the newest, only the settled: those that no entry still to come can precede. Whoever goes on with `after` starts here. */
  readonly settled?: boolean | undefined;
  readonly class?: EventClass | undefined;
  readonly correlationId?: string | undefined;
}

export interface LedgerReader {
  /** In the order of their transactions, and by position within each. */
  tail(query: TailQuery): Promise<LedgerEntry[]>;
}

const LIMIT_MAX = 1000;

/** Transaction of the entry to go on from. */
const MARK = `COALESCE(
      (SELECT transaction_id FROM ledger_entries WHERE position <= $1::bigint ORDER BY position DESC LIMIT 1), '0')`;

/**
 * Positions are given out before the commit, and writers commit side by side: a page in their order could pass by what is not
 * yet visible. A transaction that is not over has an id at or above the snapshot's xmin, so below it nothing is still to come.
 */
const selectText = (order: 'ASC' | 'DESC'): string => `
  SELECT * FROM (
    SELECT position, id, at, class, tenant, actor, subjects, key_ids, correlation, body, leaf_hash, transaction_id
    FROM ledger_entries
    WHERE ($1::bigint IS NULL OR (transaction_id, position) > (${MARK}, $1::bigint))
      AND ($2::text IS NULL OR class = $2) AND ($3::uuid IS NULL OR correlation = $3)
      AND (NOT $5::boolean OR transaction_id < pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY transaction_id ${order}, position ${order} LIMIT $4
  ) AS found ORDER BY transaction_id, position`;

export interface Row {
  readonly position: string;
  readonly id: string;
  readonly at: Date;
  readonly class: EventClass;
  readonly tenant: string;
  readonly actor: Buffer;
  readonly subjects: Buffer[];
  readonly key_ids: Buffer[];
  readonly correlation: string;
  readonly body: Buffer;
  readonly leaf_hash: Buffer;
}

export interface LedgerReaderInputs {
  /** Connects as `keyward_ledger_reader`. */
  readonly pool: Pool;
  /** Opens ledger day keys, and records that it did. */
  readonly keys: KeyService;
  readonly tenant: string;
}

export function readLedger({ pool, keys, tenant }: LedgerReaderInputs): LedgerReader {
  return {
    tail: async ({ limit, after, settled = false, class: eventClass, correlationId }) => {
      const text = selectText(after === undefined ? 'DESC' : 'ASC');
      const onlySettled = settled || after !== undefined;
      const values = [
        after ?? null,
        eventClass ?? null,
        correlationId ?? null,
        Math.min(limit, LIMIT_MAX),
        onlySettled,
      ];
      const { rows } = await withClient(pool, (client) => client.query<Row>(text, values));
      return openRows(rows, { keys, tenant });
    },
  };
}

/** Each checked against its leaf hash, and opened where its day key is to be had. */
export async function openRows(
  rows: readonly Row[],
  { keys, tenant }: Pick<LedgerReaderInputs, 'keys' | 'tenant'>,
): Promise<LedgerEntry[]> {
  const dayKeys = await openDayKeys(rows, keys, tenant);
  return rows.map((row) => entryOf(row, dayKeys));
}

type DayKeys = ReadonlyMap<KeyId, DataKey>;

/** One by one: a day whose key is gone must not hide the others. */
async function openDayKeys(rows: readonly Row[], keys: KeyService, tenant: string): Promise<DayKeys> {
  const opened = new Map<KeyId, DataKey>();
  const use = { tenant, subjects: [], purpose: 'SYSTEM', correlationId: newUuid() };
  for (const id of new Set(rows.flatMap(({ body }) => namedKey(body) ?? []))) {
    const key = await keys.process([id], use).catch(nothingIfGone);
    if (key?.[0]) opened.set(id, key[0]);
  }
  return opened;
}

/** Codes of a custodian that answers, and will not answer otherwise later. */
const GONE: readonly unknown[] = ['KEYS_UNKNOWN_KEY', 'KEYS_FORBIDDEN', 'KEYS_STATE_REFUSED'];

function nothingIfGone(error: unknown): undefined {
  if (!GONE.includes((error as { code?: unknown }).code)) throw error;
}

/** The key a body names; undefined when the body is no envelope any more. */
function namedKey(body: Buffer): KeyId | undefined {
  return unlessSealError(() => envelopeKeyId(body));
}

function entryOf(row: Row, dayKeys: DayKeys): LedgerEntry {
  const { id, at, leaf_hash: leafHash } = row;
  const clear = { position: BigInt(row.position), id, at, class: row.class, leafHash: leafHash.toString('hex') };
  return { ...clear, ...judge(sealedEntry(row), dayKeys) };
}

function sealedEntry(row: Row): SealedEntry {
  const { id, at, tenant, actor, subjects, key_ids: keyIds, correlation, body, leaf_hash: leafHash } = row;
  return { header: { id, at, class: row.class, tenant, actor, subjects, keyIds, correlation }, body, leafHash };
}

/** Whoever can write to the table can make a leaf hash fit, too: only what the day key authenticates is shown. */
function judge(entry: SealedEntry, dayKeys: DayKeys): Pick<LedgerEntry, 'intact' | 'event'> {
  const keyId = namedKey(entry.body);
  if (keyId === undefined || !isIntact(entry)) return { intact: false };
  const day = dayKeys.get(keyId);
  if (!day) return { intact: true };
  const event = unlessSealError(() => openEntry(entry, day));
  return event ? { intact: true, event } : { intact: false };
}

function unlessSealError<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof SealError) return undefined;
    throw error;
  }
}
