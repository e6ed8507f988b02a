/** From an event to the row that is stored, and back. */
import { type DataKey, openBytes, sealBytes } from '@keyward/sdk/seal';
import { type AuditEvent, KeywardError } from '../core/index.ts';
import { decodeBody, encodeBody } from './body.ts';
import { encodeHeader, ENTRY_MAX_BYTES, type EntryHeader, leafHash } from './entry.ts';
import type { LedgerKeys } from './keyring.ts';
import { pseudonym } from './pseudonym.ts';

export interface SealedEntry {
  readonly header: EntryHeader;
  /** Envelope under the day key. */
  readonly body: Buffer;
  readonly leafHash: Buffer;
}

/** Of one tenant. Events of one call are often about the same people, whose pseudonyms are made once. */
export function sealEntries(events: readonly AuditEvent[], keys: LedgerKeys): SealedEntry[] {
  const made = new Map<string, Buffer>();
  return events.map((event) => sealEntry(event, keys, made));
}

/** @param made pseudonyms of subjects of this tenant so far */
export function sealEntry(event: AuditEvent, keys: LedgerKeys, made = new Map<string, Buffer>()): SealedEntry {
  const header = headerOf(event, keys.pseudonym, made);
  const clear = encodeHeader(header);
  const body = sealBytes(keys.day, clear, encodeBody(event));
  if (clear.length + body.length > ENTRY_MAX_BYTES) throw new KeywardError('LEDGER_ENTRY_TOO_LARGE');
  return { header, body, leafHash: leafHash(clear, body) };
}

function headerOf(event: AuditEvent, key: DataKey, made: Map<string, Buffer>): EntryHeader {
  const { id, at, tenant, actor, correlationId, subjects = [], keyIds = [] } = event;
  const pseudonymOf = (subject: string) => {
    const found = made.get(subject) ?? pseudonym(key, 'subject', [tenant, subject]);
    made.set(subject, found);
    return found;
  };
  return {
    id,
    at,
    class: event.class,
    tenant,
    actor: pseudonym(key, 'actor', [tenant, actor.issuer ?? '', actor.sub]),
    subjects: subjects.map(pseudonymOf),
    keyIds: keyIds.map((keyId) => Buffer.from(keyId, 'hex')),
    correlation: correlationId,
  };
}

/** Whether the stored bytes are those the leaf hash was made of; what cannot be encoded was never recorded. */
export function isIntact(entry: SealedEntry): boolean {
  try {
    return leafHash(encodeHeader(entry.header), entry.body).equals(entry.leafHash);
  } catch (error) {
    if (error instanceof KeywardError) return false;
    throw error;
  }
}

/** The event as it was recorded. @throws SealError when body or header were altered. */
export function openEntry({ header, body }: SealedEntry, day: DataKey): AuditEvent {
  return {
    id: header.id,
    at: header.at,
    class: header.class,
    tenant: header.tenant,
    correlationId: header.correlation,
    ...(header.keyIds.length > 0 ? { keyIds: header.keyIds.map((keyId) => keyId.toString('hex')) } : {}),
    ...decodeBody(openBytes(day, encodeHeader(header), body)),
  };
}
