/** The `keyward` program: its verbs, its common options, and how it fails. */
import { Command, CommanderError } from 'commander';
import { asKeywardError, KeywardError, systemClock } from '../core/index.ts';
import { configCommand } from './commands/config.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { keysCommand } from './commands/keys.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { processCommand } from './commands/process.ts';
import { sealCommand } from './commands/seal.ts';
import { tokenCommand } from './commands/token.ts';
import { upCommand } from './commands/up.ts';
import type { CliContext, CliServices } from './context.ts';
import { renderError } from './failure.ts';
import { processTerminal, type Terminal } from './terminal.ts';

const VERBS = [
  upCommand,
  tokenCommand,
  demoCommand,
  configCommand,
  doctorCommand,
  ledgerCommand,
  sealCommand,
  keysCommand,
];

function buildCli(context: CliContext): Command {
  const program = new Command('keyward').description('The encryption gateway for healthcare APIs.');
  for (const verb of VERBS) program.addCommand(verb(context));
  for (const one of context.services.processes) program.addCommand(processCommand(one));
  prepare(program, context.terminal);
  return program;
}

/** Runs one command line and answers the exit status; whatever fails is one error and one hint on stderr. */
export async function runCli(
  argv: readonly string[],
  services: CliServices,
  {
    terminal = processTerminal(),
    clock = systemClock,
    env = process.env,
  }: Partial<Pick<CliContext, 'terminal' | 'clock' | 'env'>> = {},
): Promise<number> {
  try {
    await buildCli({ services, terminal, clock, env }).parseAsync(argv, { from: 'user' });
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = thrown instanceof CommanderError ? usageError(thrown) : asKeywardError(thrown);
    terminal.err.write(renderError(error, { json: argv.includes('--json') }));
    return error.row.exit;
  }
}

/** Commander throws instead of ending the process, and leaves the words about failures to us. */
function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride().allowExcessArguments(false).showSuggestionAfterError(true);
  command.configureOutput({
    writeOut: (text) => terminal.out.write(text),
    writeErr: () => undefined,
    outputError: () => undefined,
    getOutHelpWidth: () => terminal.out.columns,
    getOutHasColors: () => terminal.out.isTty,
  });
  for (const child of command.commands) prepare(child, terminal);
}

function usageError(error: CommanderError): KeywardError {
  const what = error.code === 'commander.help' ? 'a verb is missing' : error.message;
  return new KeywardError('CLI_USAGE', { detail: what.replace(/^error: /, '').replaceAll(/\s+/g, ' ') });
}
