/** Cuts an event that names more than one entry can hold. */
import { createHash } from 'node:crypto';
import { type AuditEvent, KeywardError } from '../core/index.ts';
import { encodeBody } from './body.ts';
import { ENTRY_MAX_BYTES, headerSizeBytes } from './entry.ts';

/** Room for what sealing adds to a body (key id, nonce, tag). */
const SEAL_RESERVE_BYTES = 256;

/** Lists that may be cut; all parts carry the correlation id that holds them together. */
const CUTTABLE = ['resources', 'subjects', 'keyIds'] as const satisfies readonly (keyof AuditEvent)[];

/**
 * Events of at most 65,535 bytes each, in order. Parts get ids made from the event's, so recording it twice keeps one.
 * @throws KeywardError `LEDGER_ENTRY_TOO_LARGE` when what is not a list is too large by itself.
 */
export function splitEvent(event: AuditEvent): AuditEvent[] {
  return cut(event).map((part, position) => (position === 0 ? part : { ...part, id: partId(event.id, position) }));
}

function cut(event: AuditEvent): AuditEvent[] {
  if (sizeBytes(event) <= ENTRY_MAX_BYTES - SEAL_RESERVE_BYTES) return [event];
  if (CUTTABLE.every((name) => (event[name]?.length ?? 0) <= 1)) throw new KeywardError('LEDGER_ENTRY_TOO_LARGE');
  return [...cut(half(event, 'first')), ...cut(half(event, 'second'))];
}

function sizeBytes(event: AuditEvent): number {
  const counts = { subjects: event.subjects?.length ?? 0, keyIds: event.keyIds?.length ?? 0 };
  return headerSizeBytes({ ...counts, tenant: event.tenant, class: event.class }) + encodeBody(event).length;
}

/** The lists are cut at their middle, so lists of equal length stay aligned. */
function half(event: AuditEvent, which: 'first' | 'second'): AuditEvent {
  const lists = CUTTABLE.filter((name) => event[name] !== undefined).map((name) => {
    const list = event[name] ?? [];
    const middle = Math.ceil(list.length / 2);
    return [name, which === 'first' ? list.slice(0, middle) : list.slice(middle)];
  });
  return { ...event, ...Object.fromEntries(lists) };
}

/** UUID version 8 (RFC 9562, section 5.8) from the id of the event that was cut. */
function partId(id: string, position: number): string {
  const bytes = createHash('sha256').update(`keyward ledger part ${position} of ${id.toLowerCase()}`).digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
