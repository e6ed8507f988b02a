/** The two witnesses of the desk: one for callers from outside, one for the ledger in this process. */
import type { Log } from '../core/index.ts';
import type { AccessEvents } from './access-events.ts';
import type { Witness } from './desk.ts';
import type { Recorder } from './recorder.ts';

/** Waits until the ledger has it. */
export function createWitness(events: AccessEvents, recorder: Recorder, log: Log): Witness {
  return {
    permitted: (...accesses) => recorder.record(accesses.flatMap((access) => events.permitted(access))),
    async refused(access, code) {
      log.warn('keys refused', { code, process: access.caller, correlationId: access.use.correlationId });
      await recorder
        .record(events.refused(access, code))
        .catch((error: unknown) =>
          log.error('refusal not recorded', { error, correlationId: access.use.correlationId }),
        );
    },
  };
}

/**
 * The ledger asks for its own keys in the middle of writing: waiting for the ledger here would wait for itself. Each key is
 * noted once, when it is made and when it is first handed out, and written behind the entry that caused it: were it noted each
 * time, an entry could cause the next without end. Refusals go to the log alone.
 */
export function createOwnWitness(events: AccessEvents, recorder: Recorder, log: Log): Witness {
  const noted = new Set<string>();
  return {
    async permitted(...accesses) {
      for (const access of accesses) {
        const keys = access.keys.filter(({ id }) => id !== undefined && !noted.has(`${access.operation} ${id}`));
        for (const { id } of keys) noted.add(`${access.operation} ${id}`);
        for (const event of events.permitted({ ...access, keys })) recorder.defer(event);
      }
    },
    async refused(access, code) {
      log.error('own ledger keys refused', { code, correlationId: access.use.correlationId });
    },
  };
}
