/** `keyward ledger tail`: the latest entries of the ledger, and new ones as they come. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '@keyward/sdk/seal';
import { type Command, Option } from 'commander';
import { LEDGER_LIMIT_MAX_ENTRIES } from '../../admin/index.ts';
import type { CliContext, TokenSourceOptions } from '../context.ts';
import { at, listAt, textAt } from '../json.ts';
import { renderEntry } from '../ledger-entry.ts';
import { bodyOf } from '../refusal.ts';
import { openSession, type Session } from '../session.ts';
import { group, tokenFileOption, verb, wholeNumber } from '../verb.ts';

interface Flags extends TokenSourceOptions {
  readonly limit: number;
  readonly follow?: boolean;
  readonly class?: string;
  readonly correlation?: string;
}

const LIMIT_DEFAULT_ENTRIES = 20;
const POLL_INTERVAL_MS = 1000;
const READER = 'auditor';

export function ledgerCommand(context: CliContext): Command {
  const tail = verb(
    'tail',
    'Print the latest entries of the ledger.',
    'keyward ledger tail --follow --class disclosure',
  )
    .addOption(
      new Option('--limit <count>', 'how many entries (with --follow: to begin with)')
        .argParser(wholeNumber(1, LEDGER_LIMIT_MAX_ENTRIES))
        .default(LIMIT_DEFAULT_ENTRIES),
    )
    .option('--follow', 'go on printing new entries until Ctrl-C')
    .option('--class <class>', 'only this event class, e.g. disclosure or denial')
    .option('--correlation <id>', 'only the request with this correlation id')
    .addOption(tokenFileOption())
    .action((flags: Flags) => runTail(context, flags));
  return group('ledger', 'Look at the audit ledger.', [tail]);
}

type Print = (entry: Json) => void;

async function runTail(context: CliContext, flags: Flags): Promise<void> {
  const { out } = context.terminal;
  await using session = openSession(context, flags);
  const print: Print = (entry) => out.write(flags.json ? `${JSON.stringify(entry)}\n` : renderEntry(entry, out));
  if (!flags.follow) return (await readPage(session, flags, { limit: flags.limit })).forEach(print);
  const stop = new AbortController();
  const forget = context.terminal.onInterrupt(() => stop.abort());
  try {
    await follow(session, flags, print, stop.signal);
  } finally {
    forget();
  }
}

/** The newest entries, then those behind them until the user wants to stop; a full page is followed by the next at once. */
async function follow(session: Session, flags: Flags, print: Print, signal: AbortSignal): Promise<void> {
  const reader = await session.subjectOf(READER);
  let entries = await readPage(session, flags, { limit: flags.limit, settled: true });
  let after = '0';
  for (;;) {
    entries.filter((entry) => !isOwnPoll(entry, reader)).forEach(print);
    after = textAt(entries.at(-1), 'position') ?? after;
    const pauseMs = entries.length < LEDGER_LIMIT_MAX_ENTRIES ? POLL_INTERVAL_MS : 0;
    if (!(await pause(pauseMs, signal))) return;
    entries = await readPage(session, flags, { limit: LEDGER_LIMIT_MAX_ENTRIES, after });
  }
}

/** What of the ledger to answer, as the admin API spells it. */
interface Page {
  readonly limit: number;
  readonly settled?: true;
  readonly after?: string;
}

async function readPage(session: Session, flags: Flags, page: Page): Promise<readonly Json[]> {
  const asked = Object.entries({ ...page, class: flags.class, correlationId: flags.correlation });
  const given = asked.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  const query = new URLSearchParams(given).toString();
  return listAt(bodyOf(await session.admin(READER, `v1/ledger/entries?${query}`)), 'entries');
}

/** Every poll is recorded, and printing that would never end. A reading that was refused, or another's, is printed. */
function isOwnPoll(entry: Json, reader: string | undefined): boolean {
  const event = at(entry, 'event');
  return (
    textAt(entry, 'class') === 'admin' &&
    textAt(event, 'interaction') === 'ledger.entries' &&
    textAt(event, 'actor', 'sub') === reader
  );
}

/** True when the time is over, false once the user wants to stop. */
const pause = (pauseMs: number, signal: AbortSignal): Promise<boolean> =>
  sleep(pauseMs, true, { signal }).catch(() => false);
