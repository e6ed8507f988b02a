/** What the desk asks of the life cycle about keys that their states alone do not permit. */
import { type AuditEvent, asKeywardError } from '../../core/index.ts';
import type { StoredKey } from '../data-keys.ts';
import { query } from '../query.ts';
import type { Exceptions, RefusedAccess } from '../verdicts.ts';
import type { LifeParts } from './parts.ts';
import { acceptedRisks } from './risks.ts';

/** A destruction counts each request that it refused, however many keys that named. */
const COUNT = `
  UPDATE destruction SET attempts = attempts + 1 WHERE tenant = $1 AND id = ANY ($2::uuid[]) AND state = 'waiting'`;

export function createExceptions(parts: LifeParts): Exceptions {
  const { pool, tenant, clock, recorder, log } = parts;
  return {
    accepted: (keys) => acceptedRisks(pool, tenant, keys, clock.now()),
    async asked(refused) {
      const alarming = refused.keys.filter((key) => isAlarming(key));
      if (alarming.length === 0) return;
      const about = { correlationId: refused.use.correlationId, process: refused.caller };
      log.warn('keys asked for that nobody should ask for any more', about);
      const waiting = [...new Set(alarming.map(({ destruction }) => destruction).filter((id) => id !== null))];
      try {
        await recorder.record([alarmOf(parts, { ...refused, keys: alarming })]);
        if (waiting.length > 0) await query(pool, COUNT, [tenant, waiting]);
      } catch (error) {
        log.error('alarm not recorded', { code: asKeywardError(error).code, ...about });
      }
    },
  };
}

const isAlarming = ({ destruction, state, kekState }: StoredKey): boolean =>
  destruction !== null || state === 'compromised' || kekState === 'compromised';

function alarmOf({ events }: LifeParts, { caller, operation, use, keys }: RefusedAccess): AuditEvent {
  const facts = {
    verb: operation,
    rule: keys.some(({ destruction }) => destruction !== null) ? 'keys.destruction.waiting' : 'keys.compromised',
    resources: keys.map(({ id }) => `key/${id}`),
    keyIds: keys.map(({ id }) => id),
    subjects: keys.filter(({ kind }) => kind === 'subject').map(({ scope }) => scope),
  };
  const sub = use.actor ?? caller;
  const actor = { sub, client: caller, ...(use.issuer === undefined ? {} : { issuer: use.issuer }) };
  return events.alarm(facts, { code: 'KEYS_STATE_REFUSED', correlationId: use.correlationId, actor });
}
