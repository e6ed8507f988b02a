/** `keyward demo reveal`: one patient as a clinician, as billing, and as the database holds it. */
import type { Command } from 'commander';
import { dataPaths } from '../../core/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { firstPatient } from '../demo/journal.ts';
import { reveal } from '../demo/reveal.ts';
import { renderReveal } from '../demo/reveal-screen.ts';
import { openSession } from '../session.ts';
import { fhirId, verb } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly patient?: string;
}

export function demoRevealCommand(context: CliContext): Command {
  return verb(
    'reveal',
    'Show one patient as a clinician, as billing, and as the database holds it.',
    'keyward demo reveal',
  )
    .option('--patient <id>', 'id of the patient (default: the first that was loaded)', fhirId)
    .action(async ({ patient, ...options }: Flags) => {
      await using session = openSession(context, options);
      const known = patient === undefined ? firstPatient(dataPaths(options.dataDir)) : `Patient/${patient}`;
      const views = await reveal(session, known);
      const { out } = context.terminal;
      out.write(options.json ? `${JSON.stringify(views, null, 2)}\n` : renderReveal(views, out));
    });
}
