/** `keyward seal backfill`: seals in place what an upstream held before Keyward came, and undoes it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { dataPaths, KeywardError } from '../../core/index.ts';
import { openJournal, type Subject } from '../backfill/journal.ts';
import { createProgress, renderReport } from '../backfill/report.ts';
import { type BackfillSummary, type Mode, runBackfill } from '../backfill/run.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { at, listAt, textAt } from '../json.ts';
import { bodyOf } from '../refusal.ts';
import { openSession, type Session } from '../session.ts';
import { verb, wholeNumber } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly type?: readonly string[];
  readonly undo?: boolean;
  readonly reseal?: boolean;
  readonly rekey?: boolean;
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly pageSize: number;
  readonly restart?: boolean;
}

const PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 500;
const MAX_RATE = 100_000;

export function sealBackfillCommand(context: CliContext): Command {
  return verb(
    'backfill',
    'Seal in place what the FHIR server behind the gateway already holds; interrupted, it goes on where it stopped.',
    'keyward seal backfill --dry-run && keyward seal backfill --rate 200',
  )
    .option('--type <type...>', 'only these resource types (default: all, patients first)')
    .option('--dry-run', 'only count what would be done')
    .option('--reseal', 'seal anew what is sealed, under the keys, index keys and rules of now')
    .option('--rekey', 'seal anew only what stands under keys that were rotated or compromised since')
    .option('--undo', 'put the plaintext back (the gateway must run with gateway.existingData: undo)')
    .option('--rate <n>', 'at most so many records in a second', wholeNumber(1, MAX_RATE))
    .option('--page-size <n>', 'records of one request', wholeNumber(1, MAX_PAGE_SIZE), PAGE_SIZE)
    .option('--restart', 'forget how far an interrupted run came')
    .action(async (flags: Flags) => {
      if ([flags.undo, flags.reseal, flags.rekey].filter(Boolean).length > 1)
        throw new KeywardError('CLI_USAGE', { detail: '--undo, --reseal and --rekey exclude each other' });
      const summary = await backfill(context, flags);
      const { out } = context.terminal;
      out.write(flags.json ? `${JSON.stringify(summary)}\n` : renderReport(summary, out));
      if (!summary.complete) throw new KeywardError('CLI_INTERRUPTED');
      if (Object.values(summary.types).some(({ skipped }) => Object.keys(skipped).length > 0))
        throw new KeywardError('CLI_BACKFILL_SKIPPED');
    });
}

async function backfill(context: CliContext, flags: Flags): Promise<BackfillSummary> {
  const { terminal, clock } = context;
  const mode: Mode = flags.undo ? 'unseal' : flags.rekey ? 'rekey' : flags.reseal ? 'reseal' : 'seal';
  const dryRun = flags.dryRun ?? false;
  await using session = openSession(context, flags);
  const types = inOrder(flags.type ?? (await upstreamTypes(session)), mode);
  let interrupted = false;
  const forget = terminal.onInterrupt(() => void (interrupted = true));
  try {
    return await runBackfill({
      mode,
      dryRun,
      types,
      // A page is read at once: one of more than a second's worth would be a burst.
      pageSize: Math.min(flags.pageSize, flags.rate ?? flags.pageSize),
      ratePerSecond: flags.rate,
      journal: openJournal(dataPaths(flags.dataDir), {
        mode,
        dryRun,
        subject: subjectOf(context, flags),
        startOver: flags.restart ?? dryRun,
      }),
      post: (body) => session.fhir('admin', '$keyward-backfill', { method: 'POST', body }),
      progress: createProgress(flags.json ? terminal.err : terminal.out, { mode, dryRun }, types.length),
      isInterrupted: () => interrupted,
      sleep,
      nowMs: () => clock.now().getTime(),
    });
  } finally {
    forget();
  }
}

function subjectOf({ services }: CliContext, flags: Flags): Subject {
  const upstream = services.explainConfig(flags).find(({ key: name }) => name === 'gateway.upstreamUrl');
  return { upstream: JSON.stringify(upstream?.value ?? null), catalogue: services.sealing(flags).catalogue.version };
}

async function upstreamTypes(session: Session): Promise<string[]> {
  const capabilities = bodyOf(await session.fhir('admin', 'metadata'));
  const types = listAt(at(capabilities, 'rest', 0), 'resource').flatMap((resource) => textAt(resource, 'type') ?? []);
  if (types.length > 0) return types;
  throw new KeywardError('CLI_UPSTREAM', { detail: 'its metadata names no types; name them with --type' });
}

/** A record is sealed under its patient's scope, so patients come first; and last when their seals go. */
function inOrder(types: readonly string[], mode: Mode): string[] {
  const patients = types.filter((type) => type === 'Patient');
  const others = types.filter((type) => type !== 'Patient').toSorted();
  return mode === 'unseal' ? [...others, ...patients] : [...patients, ...others];
}
