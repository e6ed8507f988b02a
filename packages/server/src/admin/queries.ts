/** What callers of the admin API may ask, as zod shapes: unknown parameters are refused. */
import { z } from 'zod';
import type { EventClass } from '../core/index.ts';

const EVENT_CLASSES = [
  'write.intent',
  'write.outcome',
  'disclosure',
  'denial',
  'failure',
  'key.access',
  'key.lifecycle',
  'key.alarm',
  'admin',
] as const satisfies readonly EventClass[];

/** Entries in one answer; more are read page by page with `after`. */
export const LEDGER_LIMIT_MAX_ENTRIES = 1000;
const LEDGER_LIMIT_DEFAULT_ENTRIES = 50;

/** 18 digits fit PostgreSQL's bigint. */
const digits = z.string().regex(/^\d{1,18}$/);

/** Query strings are text, so numbers are spelled digits until here. */
export const ledgerQuery = z.strictObject({
  limit: digits
    .default(String(LEDGER_LIMIT_DEFAULT_ENTRIES))
    .transform(Number)
    .pipe(z.number().min(1).max(LEDGER_LIMIT_MAX_ENTRIES)),
  /** Entries behind this position, oldest first. */
  after: digits.transform(BigInt).exactOptional(),
  /** Whoever goes on with `after` starts with this: only entries that none still to come can precede. */
  settled: z
    .literal('true')
    .transform(() => true)
    .exactOptional(),
  class: z.enum(EVENT_CLASSES).exactOptional(),
  correlationId: z.uuid().exactOptional(),
});
export type LedgerQuery = z.infer<typeof ledgerQuery>;

/** R4 §2.24.0.1: type names are letters, ids 1–64 of `A-Za-z0-9-.`. */
export const resourceName = z.strictObject({
  type: z.string().regex(/^[A-Z][A-Za-z]{1,63}$/),
  id: z.string().regex(/^[A-Za-z0-9.-]{1,64}$/),
});

export const nothing = z.strictObject({});
