/** `keyward keys restore` and `accept-rollback`: what a quorum of share holders can do while nothing runs. */
import type { Command } from 'commander';
import type { WaitingAnew } from '../../keys/index.ts';
import type { CliContext } from '../context.ts';
import { type QuorumFlags, quorumOf, withQuorum } from '../recovery/quorum.ts';
import { verb } from '../verb.ts';

export function keysRestoreCommand(context: CliContext): Command {
  const command = verb(
    'restore',
    'Restore a backup of the key hierarchy into an empty data directory, under the configured root.',
    'keyward keys restore --backup B.kwb --share ada.share --share ben.share --data-dir /srv/keyward-new',
  );
  return withQuorum(command).action(async (flags: QuorumFlags) => {
    const restored = await context.services.restoreKeys(flags, quorumOf(context, flags));
    const { keks, dataKeys, erased, proved, waiting } = restored;
    context.terminal.out.write(
      flags.json
        ? `${JSON.stringify(restored)}\n`
        : `restored: ${keks} KEKs, ${dataKeys} data keys (${erased} of them destroyed since); ${proved} were opened as a proof\n${waitingLines(waiting)}`,
    );
  });
}

export function keysAcceptRollbackCommand(context: CliContext): Command {
  const command = verb(
    'accept-rollback',
    'Accept a key database that is older than what was seen; what was changed since is lost.',
    'keyward keys accept-rollback --backup B.kwb --share ada.share --share ben.share',
  );
  return withQuorum(command).action(async (flags: QuorumFlags) => {
    const waiting = await context.services.acceptRollback(flags, quorumOf(context, flags));
    context.terminal.out.write(
      flags.json
        ? `${JSON.stringify({ accepted: true, waiting })}\n`
        : `accepted; keys in use will be rotated\n${waitingLines(waiting)}`,
    );
  });
}

/** Some of them may have been called off, or held, after the backup: nothing but these lines and the ledger tells. */
const waitingLines = (waiting: readonly WaitingAnew[]): string =>
  waiting
    .map(({ target, dueAt }) => `destroyed on ${dueAt.toISOString()} unless cancelled again: ${target}\n`)
    .join('');
