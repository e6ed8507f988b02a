/** `keyward up`: starts every process on this host. */
import type { Command } from 'commander';
import type { CliContext, UpOptions } from '../context.ts';
import { port, verb } from '../verb.ts';

export function upCommand({ services }: CliContext): Command {
  return verb(
    'up',
    'Start Keyward on this host: database, custodian, gateway and admin.',
    'keyward up --gateway-port 9443',
  )
    .option('--gateway-port <port>', 'port of the gateway', port)
    .option('--admin-port <port>', 'port of the admin API', port)
    .action((options: UpOptions) => services.up(options));
}
