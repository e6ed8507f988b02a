/** Data keys whose time or use is over get a successor when they are next asked for: a million patients do not rotate at midnight. */
import type { KeyKind } from '@keyward/sdk/client';
import { asKeywardError, type Clock, type Log, newUuid } from '../../core/index.ts';
import type { StoredKey } from '../data-keys.ts';
import type { LifeEvents } from '../lifecycle/events.ts';
import { CUSTODIAN_ITSELF } from '../operators.ts';
import type { Recorder } from '../recorder.ts';
import { type Usage, USES_TO_ROTATE } from '../usage.ts';
import type { Cryptoperiods } from './cryptoperiods.ts';
import type { KeyRotation } from './rotate-keys.ts';

export interface RenewalOptions {
  readonly rotation: Pick<KeyRotation, 'renew'>;
  readonly cryptoperiods: Pick<Cryptoperiods, 'ms'>;
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: Pick<LifeEvents, 'alarm'>;
  readonly log: Log;
}

export interface Renewal {
  /** Rotates those of these active keys that are past their cryptoperiod or worn; true when there were any. */
  renewOverdue(keys: readonly StoredKey[]): Promise<boolean>;
  /**
   * Rotates those of these keys that stand under a compromised KEK, so that what is new is protected again once there is another
   * KEK; true when it did. Not where another of them cannot be rotated: its request is refused anyway.
   */
  renewExposed(keys: readonly StoredKey[]): Promise<boolean>;
  /** A key has reached another share of what it may protect. Never throws: whoever asked has his key. */
  onUsage(key: StoredKey, usage: Usage): void;
}

/** Keys of the ledger last a day; keys of indexes and pseudonyms stay what they are. */
const LAZY: ReadonlySet<string> = new Set<KeyKind>(['subject', 'tenant', 'store', 'cursor']);

export function createRenewal(options: RenewalOptions): Renewal {
  const { rotation, cryptoperiods, clock, log } = options;
  const isOld = ({ activatedAt }: StoredKey): boolean =>
    activatedAt !== null && clock.now().getTime() - activatedAt.getTime() >= cryptoperiods.ms('data');
  const isOverdue = (key: StoredKey): boolean =>
    LAZY.has(key.kind) && key.state === 'active' && (isOld(key) || key.uses >= USES_TO_ROTATE);
  const because = (reason: string) => ({ by: CUSTODIAN_ITSELF, reason, correlationId: newUuid() });
  const isRenewable = ({ kind, state, destruction }: StoredKey): boolean =>
    LAZY.has(kind) && state === 'active' && destruction === null;
  return {
    async renewExposed(keys) {
      const exposed = keys.filter(({ kekState }) => kekState === 'compromised');
      if (exposed.length === 0 || !exposed.every(isRenewable)) return false;
      try {
        await rotation.renew(exposed, because('its KEK was compromised'));
        return true;
      } catch (error) {
        if (asKeywardError(error).code === 'KEYS_STATE_REFUSED') return false;
        throw error;
      }
    },
    async renewOverdue(keys) {
      const overdue = keys.filter(isOverdue);
      if (overdue.length === 0) return false;
      await rotation.renew(overdue, because('the cryptoperiod or three quarters of its uses are over'));
      return true;
    },
    onUsage(key, usage) {
      const act =
        usage === 'warn' ? warn(options, key) : rotation.renew([key], because('three quarters of its uses are over'));
      act.catch((error: unknown) => log.error('worn key not attended to', { code: asKeywardError(error).code }));
    },
  };
}

async function warn({ recorder, events, log }: RenewalOptions, { id, kind, scope }: StoredKey): Promise<void> {
  const correlationId = newUuid();
  log.warn('a key has protected half of what it may', { code: 'KEYS_WORN', correlationId });
  const resources = [scope === '' ? kind : `${kind}/${scope}`];
  const facts = { verb: 'usage', rule: 'keys.usage', resources, keyIds: [id] };
  await recorder.record([events.alarm(facts, { code: 'KEYS_WORN', correlationId })]);
}
