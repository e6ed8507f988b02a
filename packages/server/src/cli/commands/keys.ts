/** `keyward keys`: everything operators do with keys, for people and for pipelines. */
import type { Json } from '@keyward/sdk/seal';
import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { at, textAt } from '../json.ts';
import { approveRequest, cancel, enrol, listRequests, type Printed } from '../keys/approvals.ts';
import { type KeysDesk, openDesk } from '../keys/desk.ts';
import { waitForJob } from '../keys/jobs.ts';
import { renderRequest, requestView } from '../keys/request-view.ts';
import { renderRecord } from '../keys/screen.ts';
import {
  ACT_VERBS,
  type ActVerb,
  type KeysFlags,
  QUESTION_VERBS,
  type QuestionVerb,
  USAGE,
  type VerbOption,
} from '../keys/verbs.ts';
import { group, tokenFileOption, verb } from '../verb.ts';
import { keysBackupCommand } from './keys-backup.ts';
import { keysDrillCommand } from './keys-drill.ts';
import { keysPlanCommand } from './keys-plan.ts';
import { keysVerifyCertificateCommand } from './keys-verify-certificate.ts';
import { keysHolderKeyCommand, keysOpenShareCommand } from './keys-holder.ts';
import { keysAcceptRollbackCommand, keysRestoreCommand } from './keys-restore.ts';

const REASON: VerbOption = {
  flags: '--reason <text>',
  description: 'why; goes into the ledger, so nothing about a patient',
  required: true,
};
const KEY_FILE: VerbOption = { flags: '--key-file <file>', description: 'your approver key (default: in ~/.keyward)' };

const RECOVERY_VERBS = [
  keysBackupCommand,
  keysRestoreCommand,
  keysDrillCommand,
  keysHolderKeyCommand,
  keysOpenShareCommand,
  keysAcceptRollbackCommand,
];

export const keysCommand = (context: CliContext): Command =>
  group('keys', 'Manage keys by the book: life cycle, rotation, approvals, destruction.', [
    ...QUESTION_VERBS.map((row) => questionCommand(context, row)),
    ...ACT_VERBS.map((row) => actCommand(context, row)),
    ...approvalCommands(context),
    usageCommand(context),
    ...RECOVERY_VERBS.map((recovery) => recovery(context)),
    keysPlanCommand(context),
    keysVerifyCertificateCommand(context),
  ]);

interface Row {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
  readonly takes?: readonly string[];
  readonly options?: readonly VerbOption[];
}

type Run = (desk: KeysDesk, args: readonly string[], flags: KeysFlags) => Promise<Printed>;

/** One verb; what it prints is JSON or text, as asked. */
function command(context: CliContext, row: Row, run: Run): Command {
  const { name, summary, example, takes = [], options = [] } = row;
  const built = verb(name, summary, example)
    .addOption(tokenFileOption())
    .option('--as <sub>', 'who you are, with the development issuer', 'operator');
  for (const argument of takes) built.argument(argument);
  for (const option of options) built.addOption(optionOf(option));
  return built.action(async () => {
    const flags = built.opts<KeysFlags>();
    await using desk = openDesk(context, flags);
    const { json, text } = await run(desk, built.args, flags);
    context.terminal.out.write(flags.json ? `${JSON.stringify(json)}\n` : text);
  });
}

function optionOf({ flags, description, read, required = false }: VerbOption): Option {
  const option = new Option(flags, description).makeOptionMandatory(required);
  return read === undefined ? option : option.argParser(read);
}

const questionCommand = (context: CliContext, row: QuestionVerb): Command =>
  command(context, row, async (desk, args, flags) => {
    const json = await desk.ask(row.question, await row.params(args, flags, desk));
    return { json, text: row.render(json) };
  });

const actCommand = (context: CliContext, row: ActVerb): Command =>
  command(context, { ...row, options: [...(row.options ?? []), REASON] }, async (desk, args, flags) => {
    const answer = await desk.act(row.act, await row.params(args, flags, desk), flags.reason ?? '');
    const job = textAt(at(answer, 'result'), 'job');
    if (!flags.wait || job === undefined) return printedAct(answer);
    const ended = await waitForJob(desk, job, context.terminal);
    return { json: { result: ended }, text: renderRecord(ended) };
  });

/** What came of an act, or what it waits for. */
function printedAct(answer: Json): Printed {
  const request = at(answer, 'request');
  if (request === undefined) return { json: answer, text: renderRecord(at(answer, 'result') ?? null) };
  const view = requestView.parse(request);
  return { json: answer, text: `waits for approvals: keyward keys approve ${view.id}\n${renderRequest(view)}` };
}

const approvalCommands = (context: CliContext): Command[] => [
  command(
    context,
    {
      name: 'requests',
      summary: 'List what waits for approvals, or show one request.',
      takes: ['[request]'],
      example: 'keyward keys requests --as approver-1',
      options: [{ flags: '--all', description: 'those that have ended as well' }],
    },
    listRequests,
  ),
  command(
    context,
    {
      name: 'approve',
      summary: 'Sign a request; the last approval that is needed carries it out.',
      takes: ['<request>'],
      example: 'keyward keys approve REQUEST-ID --as approver-1',
      options: [KEY_FILE],
    },
    approveRequest,
  ),
  command(
    context,
    {
      name: 'cancel',
      summary: 'Withdraw a request, or call a destruction off that still waits.',
      takes: ['<what>'],
      example: 'keyward keys cancel kek/1 --reason "still needed"',
      options: [REASON],
    },
    (desk, args, { reason = '' }) => cancel(desk, args, reason),
  ),
  command(
    context,
    {
      name: 'enroll',
      summary: 'Make the key that you sign approvals with, and register its public part.',
      example: 'keyward keys enroll --as approver-1 --reason "new approver"',
      options: [
        KEY_FILE,
        { flags: '--again', description: 'in place of your key of before (takes approvals)' },
        REASON,
      ],
    },
    (desk, _args, flags) => enrol(desk, flags, flags.reason ?? ''),
  ),
];

const usageCommand = (context: CliContext): Command =>
  command(
    context,
    { name: 'usage', takes: ['<key>'], options: [USAGE.days], summary: USAGE.summary, example: USAGE.example },
    async (desk, [key = ''], { days = USAGE.defaultDays }) => {
      const json = await desk.usage(key, days);
      return { json, text: USAGE.render(json) };
    },
  );
