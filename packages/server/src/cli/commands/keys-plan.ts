/** `keyward keys plan`: the Key Management Plan of the running installation, as Markdown or HTML. */
import type { Json } from '@keyward/sdk/seal';
import { type Command, Option } from 'commander';
import { KeywardError } from '../../core/index.ts';
import { keyManagementPlan, PLAN_QUESTIONS, planAsHtml, planAsMarkdown, readPlanFacts } from '../../keys/index.ts';
import type { CliContext, TokenSourceOptions } from '../context.ts';
import { openDesk } from '../keys/desk.ts';
import { writePrivateFile } from '../recovery/share-files.ts';
import { tokenFileOption, verb } from '../verb.ts';

const FORMATS = { md: planAsMarkdown, html: planAsHtml } as const;

interface Flags extends TokenSourceOptions {
  readonly format: keyof typeof FORMATS;
  readonly out?: string;
}

export const keysPlanCommand = (context: CliContext): Command => {
  const command = verb(
    'plan',
    'Write the Key Management Plan from the running installation.',
    'keyward keys plan --format html --out key-management-plan.html',
  );
  return command
    .addOption(tokenFileOption())
    .option('--as <sub>', 'who you are, with the development issuer', 'operator')
    .addOption(new Option('--format <format>', 'what to write').choices(Object.keys(FORMATS)).default('md'))
    .option('--out <file>', 'write into this file, which must not exist (default: print it)')
    .action(async (flags: Flags) => {
      const plan = keyManagementPlan(await askFacts(context, flags));
      const written = flags.json ? `${JSON.stringify(plan)}\n` : FORMATS[flags.format](plan);
      if (flags.out === undefined) context.terminal.out.write(written);
      // A plan of before may be evidence: it is not overwritten.
      else writePrivateFile(flags.out, written);
    });
};

/** One after the other: each is recorded before it is answered. */
async function askFacts(context: CliContext, flags: Flags) {
  await using desk = openDesk(context, flags);
  const answers: Record<string, Json> = {};
  for (const question of PLAN_QUESTIONS) answers[question] = await desk.ask(question, {});
  try {
    return readPlanFacts(answers);
  } catch (cause) {
    throw new KeywardError('CLI_REQUEST_FAILED', { cause });
  }
}
