/** The supervisor's log file: lines appended at once, so that a crash loses none. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataPaths } from '../core/index.ts';

export const openLogFile = (paths: DataPaths, name: string) => ({
  write(line: string): void {
    try {
      appendFileSync(join(paths.logs, `${name}.log`), line, { mode: 0o600 });
    } catch {
      // A full disk: the supervisor goes on, since only it can stop what it started.
    }
  },
});
