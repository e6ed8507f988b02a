/** Writes to the ledger, and first whatever could not be written before the ledger had its own keys. */
import type { AuditEvent, AuditSink } from '../core/index.ts';

export interface Recorder {
  /** Durable when it resolves, and so is everything deferred until then. Whoever waits for it may act after it. */
  record(events: readonly AuditEvent[]): Promise<void>;
  /** To be written together with the next event: for what the ledger itself needs in order to write at all. */
  defer(event: AuditEvent): void;
}

/**
 * The ledger fetches its day key while it writes the first entry of a day; the event of that access is deferred, and written
 * in a second round of the same call. So the second round ends it: nothing new is opened by then.
 */
export function createRecorder(audit: AuditSink): Recorder {
  const deferred = new Map<string, AuditEvent>();
  const recordOnce = async (events: readonly AuditEvent[]) => {
    await audit.record(events);
    for (const { id } of events) deferred.delete(id);
  };
  return {
    async record(events) {
      await recordOnce([...deferred.values(), ...events]);
      while (deferred.size > 0) await recordOnce([...deferred.values()]);
    },
    defer: (event) => void deferred.set(event.id, event),
  };
}
