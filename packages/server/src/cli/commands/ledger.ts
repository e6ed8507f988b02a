/** `keyward ledger tail`: the latest entries of the ledger, and new ones as they come. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '@keyward/sdk/seal';
import { type Command, Option } from 'commander';
import type { CliContext, CommonOptions } from '../context.ts';
import { listAt, textAt } from '../json.ts';
import { renderEntry } from '../ledger-entry.ts';
import { bodyOf } from '../refusal.ts';
import { openSession, type Session } from '../session.ts';
import { group, verb, wholeNumber } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly limit: number;
  readonly follow?: boolean;
  readonly class?: string;
  readonly correlation?: string;
}

const LIMIT_DEFAULT_ENTRIES = 20;
const LIMIT_MAX_ENTRIES = 1000;
const POLL_INTERVAL_MS = 1000;

export function ledgerCommand(context: CliContext): Command {
  const tail = verb(
    'tail',
    'Print the latest entries of the ledger.',
    'keyward ledger tail --follow --class disclosure',
  )
    .addOption(
      new Option('--limit <count>', 'how many entries')
        .argParser(wholeNumber(1, LIMIT_MAX_ENTRIES))
        .default(LIMIT_DEFAULT_ENTRIES),
    )
    .option('--follow', 'go on printing new entries until Ctrl-C')
    .option('--class <class>', 'only this event class, e.g. disclosure or denial')
    .option('--correlation <id>', 'only the request with this correlation id')
    .action((flags: Flags) => runTail(context, flags));
  return group('ledger', 'Look at the audit ledger.', [tail]);
}

async function runTail(context: CliContext, flags: Flags): Promise<void> {
  const { out } = context.terminal;
  await using session = openSession(context, flags);
  const print = (entry: Json) => out.write(flags.json ? `${JSON.stringify(entry)}\n` : renderEntry(entry, out));
  let last = await printPage(session, flags, undefined, print);
  if (!flags.follow) return;
  const stop = new AbortController();
  const forget = context.terminal.onInterrupt(() => stop.abort());
  while (await pause(stop.signal)) last = await printPage(session, flags, last, print);
  forget();
}

/** Prints one page and answers the position to go on from. */
async function printPage(session: Session, flags: Flags, after: string | undefined, print: (entry: Json) => void) {
  const query = new URLSearchParams({ limit: String(flags.limit) });
  if (after !== undefined) query.set('after', after);
  else if (flags.follow) query.set('settled', 'true');
  if (flags.class !== undefined) query.set('class', flags.class);
  if (flags.correlation !== undefined) query.set('correlationId', flags.correlation);
  const entries = listAt(bodyOf(await session.admin('auditor', `v1/ledger/entries?${query.toString()}`)), 'entries');
  entries.forEach(print);
  return textAt(entries.at(-1), 'position') ?? after ?? '0';
}

/** True after one interval, false once the user wants to stop. */
const pause = (signal: AbortSignal): Promise<boolean> => sleep(POLL_INTERVAL_MS, true, { signal }).catch(() => false);
