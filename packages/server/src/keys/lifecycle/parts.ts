/** What every part of the life cycle works with. */
import type { Log } from '../../core/index.ts';
import type { Effects } from './effects.ts';
import type { LifeEvents } from './events.ts';

export interface LifeParts extends Effects {
  readonly tenant: string;
  readonly events: LifeEvents;
  readonly log: Log;
}
