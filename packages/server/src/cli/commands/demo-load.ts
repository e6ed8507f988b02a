/** `keyward demo load`: posts FHIR JSON through the gateway; what was acknowledged is not posted twice. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { dataPaths, KeywardError } from '../../core/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { findFhirFiles } from '../demo/files.ts';
import { openJournal } from '../demo/journal.ts';
import { type LoadSummary, loadFiles } from '../demo/load.ts';
import { createProgress, renderSummary } from '../demo/progress.ts';
import { openSession } from '../session.ts';
import { verb } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly again?: boolean;
}

/** The synthetic patients that come with the project. */
const EXAMPLES = join(import.meta.dirname, '../../../../../examples/data');

export function demoLoadCommand(context: CliContext): Command {
  return verb(
    'load',
    'Post FHIR bundles and resources through the gateway.',
    'keyward demo load ./patients hospital.json',
  )
    .argument('[path...]', 'files and folders of FHIR JSON (default: the ten synthetic patients of the project)')
    .option('--again', 'post files once more that were acknowledged before')
    .action(async (paths: string[], flags: Flags) => {
      const files = findFhirFiles(paths.length > 0 ? paths : [EXAMPLES]);
      const summary = await load(context, files, flags);
      const { out } = context.terminal;
      out.write(flags.json ? `${JSON.stringify(summary)}\n` : renderSummary(summary, out));
      if (summary.failures.length > 0) throw new KeywardError('CLI_REQUEST_FAILED');
      if (summary.interrupted) throw new KeywardError('CLI_INTERRUPTED');
    });
}

async function load(context: CliContext, files: readonly string[], flags: Flags): Promise<LoadSummary> {
  const { terminal, clock } = context;
  await using session = openSession(context, flags);
  let interrupted = false;
  const forget = terminal.onInterrupt(() => void (interrupted = true));
  try {
    return await loadFiles({
      files,
      journal: openJournal(dataPaths(flags.dataDir), { startOver: flags.again === true }),
      post: (path, body) => session.fhir('clinician', path, { method: 'POST', body }),
      progress: createProgress(flags.json ? terminal.err : terminal.out, files.length),
      isInterrupted: () => interrupted,
      clock,
    });
  } finally {
    forget();
  }
}
