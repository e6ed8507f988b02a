/** Options of the verbs that take a backup and the shares of its holders. */
import { type Command, Option } from 'commander';
import type { Share } from '../../keys/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { oneLine } from '../failure.ts';
import { readShares } from './share-files.ts';

export interface QuorumFlags extends CommonOptions {
  readonly backup: string;
  readonly share: readonly string[];
}

export interface Quorum {
  readonly backup: string;
  readonly shares: readonly Share[];
  readonly say: (line: string) => void;
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

export const withQuorum = (command: Command): Command =>
  command
    .requiredOption('--backup <file>', 'the backup')
    .addOption(new Option('--share <file>', 'an opened share; once for each').argParser(collect).makeOptionMandatory());

/** Progress goes to stderr, so that it stands beside JSON, too. */
export const quorumOf = ({ terminal }: CliContext, { backup, share }: QuorumFlags): Quorum => ({
  backup,
  shares: readShares(share),
  say: (line) => terminal.err.write(`${oneLine(line)}\n`),
});
