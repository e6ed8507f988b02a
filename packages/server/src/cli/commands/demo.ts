/** `keyward demo`: synthetic patients through a running gateway. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { group } from '../verb.ts';
import { demoLoadCommand } from './demo-load.ts';
import { demoRevealCommand } from './demo-reveal.ts';

export const demoCommand = (context: CliContext): Command =>
  group('demo', 'See Keyward at work with synthetic patients.', [demoLoadCommand(context), demoRevealCommand(context)]);
