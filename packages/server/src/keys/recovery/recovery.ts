/** Recovery as the custodian has it: backups, what may be done about them, and the guard against a database that was put back. */
import { asKeywardError, type Log } from '../../core/index.ts';
import type { Act, Question } from '../control/act.ts';
import type { DataKeys } from '../data-keys.ts';
import type { Keks } from '../keks.ts';
import type { Recorder } from '../recorder.ts';
import { recoveryActs, recoveryQuestions } from './acts.ts';
import { recordRecoveries, rolledBackEvent } from './announcements.ts';
import type { BackupDeps } from './backup.ts';
import { removeDrafts } from './drafts.ts';
import { createEraseFromBackups, type EraseFromBackups } from './erase.ts';
import { type RollbackWatch, watchRollback } from './rollback.ts';

export interface RecoveryOptions extends BackupDeps {
  readonly keks: Keks;
  readonly dataKeys: DataKeys;
  readonly recorder: Recorder;
  readonly log: Log;
}

export interface Recovery {
  readonly acts: readonly Act[];
  readonly questions: readonly Question[];
  readonly eraseFromBackups: EraseFromBackups;
  /** The directory of the high-water mark is the custodian's own. @throws KeywardError `KEYS_ROLLED_BACK` */
  guard(directory: string): Promise<Pick<RollbackWatch, 'stop'>>;
  /** @throws KeywardError `KEYS_ROLLED_BACK` when the guard noticed it */
  requireNewest(): void;
  /** Acts that are refused when the database is older, and whose effects are noted before they are answered. */
  noted(acts: readonly Act[]): Act[];
}

export function createRecovery(options: RecoveryOptions): Recovery {
  const { pool, tenant, clock, recorder, log } = options;
  let watch: RollbackWatch | undefined;
  const alarm = async () => {
    log.error('the key database is older than what was seen', { code: 'KEYS_ROLLED_BACK' });
    await recorder
      .record([rolledBackEvent(tenant, clock)])
      .catch((error: unknown) => log.error('alarm not recorded', { error }));
  };
  const noted = (act: Act): Act => ({
    ...act,
    async run(params, context) {
      watch?.requireNewest();
      const result = await act.run(params, context);
      await watch?.advance();
      return result;
    },
  });
  return {
    acts: recoveryActs(options),
    questions: recoveryQuestions(options),
    eraseFromBackups: createEraseFromBackups(options),
    async guard(directory) {
      try {
        watch = await watchRollback({ ...options, directory, onRolledBack: () => void alarm() });
      } catch (error) {
        if (asKeywardError(error).code === 'KEYS_ROLLED_BACK') await alarm();
        throw error;
      }
      await removeDrafts(options.directory);
      await recordRecoveries(pool, tenant, recorder);
      return watch;
    },
    requireNewest: () => watch?.requireNewest(),
    noted: (acts) => acts.map(noted),
  };
}
