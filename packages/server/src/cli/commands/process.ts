/** `keyward gateway` and the like: one process by itself, as `up` starts them all. */
import type { Command } from 'commander';
import type { CommonOptions, ProcessVerb } from '../context.ts';
import { verb } from '../verb.ts';

const HELP_GROUP = 'Run one process by itself:';

export const processCommand = ({ name, description, run }: ProcessVerb): Command =>
  verb(name, description, `keyward ${name} --data-dir /srv/keyward`)
    .helpGroup(HELP_GROUP)
    .action((options: CommonOptions) => run(options));
