/** What every kind of job stands on. */
import type { Pool } from 'pg';
import type { Clock, Log } from '../../core/index.ts';
import type { Keks } from '../keks.ts';
import type { LifeEvents } from '../lifecycle/events.ts';
import type { Recorder } from '../recorder.ts';

export interface JobParts {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly keks: Keks;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: LifeEvents;
  readonly log: Log;
}
