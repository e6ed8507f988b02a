/** `keyward keys backup`: the hierarchy into a sealed file, and a share of its key to each holder. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '@keyward/sdk/seal';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import type { CliContext, TokenSourceOptions } from '../context.ts';
import { at, textAt } from '../json.ts';
import { type KeysDesk, openDesk } from '../keys/desk.ts';
import { developmentTakers, type Holder, holderOption, sealedTakers, type ShareTakers } from '../recovery/holders.ts';
import { tokenFileOption, verb, wholeNumber } from '../verb.ts';

interface Flags extends TokenSourceOptions {
  readonly holder?: readonly Holder[];
  readonly shares?: number;
  readonly threshold?: number;
  readonly out: string;
  readonly collect?: string;
  readonly reason: string;
}

const MAX_SHARES = 255;
const POLL_MS = 500;

export function keysBackupCommand(context: CliContext): Command {
  return verb(
    'backup',
    'Back up the key hierarchy; any THRESHOLD of the holders can restore it. Waits for the approvals.',
    'keyward keys backup --holder ada=kwh1… --holder ben=kwh1… --holder cleo=kwh1… --threshold 2 --reason "quarterly"',
  )
    .addOption(tokenFileOption())
    .option('--as <sub>', 'who you are, with the development issuer', 'operator')
    .addOption(new Option('--holder <name=key>', 'who gets a share; once for each').argParser(holderOption))
    .option('--shares <n>', 'development: that many shares in clear, into one folder', wholeNumber(2, MAX_SHARES))
    .option('--threshold <m>', 'shares that restore', wholeNumber(2, MAX_SHARES))
    .option('--out <folder>', 'where the shares are written', '.')
    .option('--collect <request>', 'fetch the shares of an earlier request instead of making a new one')
    .option('--reason <text>', 'why; goes into the ledger, so nothing about a patient', 'backup')
    .action(async (flags: Flags) => {
      const takers = await takersOf(context, flags);
      await using desk = openDesk(context, flags);
      const { terminal } = context;
      const request = flags.collect ?? (await requestBackup(desk, takers, flags));
      terminal.err.write(`request ${request}: waiting for the approvals ("keyward keys approve ${request}") …\n`);
      const made = resultOf(await untilEnded(desk, request));
      const files = takers.write(made.shares, flags.out);
      const answer = { backup: made.backup, file: made.file, threshold: made.threshold, shares: files };
      terminal.out.write(
        flags.json ? `${JSON.stringify(answer)}\n` : `${made.file}\n${files.map((file) => `  ${file}\n`).join('')}`,
      );
    });
}

async function takersOf(context: CliContext, flags: Flags): Promise<ShareTakers> {
  const { holder = [], shares, threshold, collect } = flags;
  if (collect !== undefined) return sealedTakers([]);
  if (threshold === undefined) throw new KeywardError('CLI_USAGE', { detail: '--threshold is missing' });
  if ((shares === undefined) === (holder.length === 0))
    throw new KeywardError('CLI_USAGE', { detail: 'either --holder for each holder, or --shares for development' });
  if (shares === undefined) return sealedTakers(holder);
  const { provider } = await context.services.describeRoot(flags);
  if (provider !== 'local')
    throw new KeywardError('CLI_USAGE', {
      detail: '--shares is for the local development root; name holders with --holder',
    });
  context.terminal.err.write('warning: all shares are written to one folder, in clear: for development only\n');
  return developmentTakers(shares);
}

async function requestBackup(desk: KeysDesk, { holders }: ShareTakers, { threshold, reason }: Flags): Promise<string> {
  const params: Json = { threshold: threshold ?? 0, holders: holders.map((holder) => ({ ...holder })) };
  const id = textAt(at(await desk.act('backup', params, reason), 'request'), 'id');
  if (id === undefined) throw new KeywardError('CLI_REQUEST_FAILED');
  return id;
}

const WAITING: ReadonlySet<string> = new Set(['pending', 'executing']);

async function untilEnded(desk: KeysDesk, id: string): Promise<Json> {
  for (;;) {
    const request = (await desk.requests('newest')).find((each) => each.id === id);
    if (!request) throw new KeywardError('KEYS_REQUEST_ENDED');
    if (request.state === 'executed') return request.result ?? null;
    if (!WAITING.has(request.state)) throw new KeywardError('KEYS_REQUEST_ENDED');
    await sleep(POLL_MS);
  }
}

const madeBackup = z.object({
  backup: z.uuid(),
  file: z.string(),
  threshold: z.int(),
  shares: z.array(z.object({ holder: z.string(), share: z.string() })),
});

function resultOf(result: Json): z.infer<typeof madeBackup> {
  const parsed = madeBackup.safeParse(result);
  if (!parsed.success) throw new KeywardError('CLI_REQUEST_FAILED', { detail: 'the request was no backup' });
  return parsed.data;
}
