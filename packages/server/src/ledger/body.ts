/** The part of an event that only its day key opens. */
import type { AuditEvent } from '../core/index.ts';

/** An allow-list: what a caller adds to an event does not reach the ledger. The rest of the event is in the header. */
const BODY_FIELDS = [
  'actor',
  'interaction',
  'resources',
  'subjects',
  'purpose',
  'decision',
  'rule',
  'reason',
  'classes',
  'status',
  'code',
] as const satisfies readonly (keyof AuditEvent)[];

export type EntryBody = Pick<AuditEvent, (typeof BODY_FIELDS)[number]>;

export function encodeBody(event: AuditEvent): Buffer {
  const fields = BODY_FIELDS.filter((name) => event[name] !== undefined).map((name) => [name, event[name]]);
  return Buffer.from(JSON.stringify(Object.fromEntries(fields)));
}

/** Of bytes that have been authenticated: nobody but the ledger made them. */
export function decodeBody(bytes: Uint8Array): EntryBody {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as EntryBody;
}
