/** `keyward seal`: looks at what is sealed, measures what indexes tell, and seals what was there before. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { group } from '../verb.ts';
import { sealBackfillCommand } from './seal-backfill.ts';
import { sealExplainCommand } from './seal-explain.ts';
import { sealLeakageCommand } from './seal-leakage.ts';

export const sealCommand = (context: CliContext): Command =>
  group('seal', 'What is sealed: explain it, measure it, seal what was there before.', [
    sealExplainCommand(context),
    sealLeakageCommand(context),
    sealBackfillCommand(context),
  ]);
