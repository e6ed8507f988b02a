/** `keyward token`: a token of the development issuer. */
import { type Command, Option } from 'commander';
import type { CliContext, CommonOptions } from '../context.ts';
import { claimsOf, type Role, ROLE_NAMES } from '../roles.ts';
import { fhirId, seconds, verb } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly role: Role;
  readonly sub?: string;
  readonly patient?: string;
  readonly scope?: string;
  readonly purpose?: string;
  readonly mfa: boolean;
  readonly ttl: number;
}

const TTL_DEFAULT_SECONDS = 300;

export function tokenCommand({ services, terminal }: CliContext): Command {
  return verb('token', 'Print a token of the development issuer.', 'keyward token --role clinician --ttl 1h')
    .addOption(new Option('--role <role>', 'who the bearer is').choices(ROLE_NAMES).makeOptionMandatory())
    .option('--sub <id>', 'subject of the token (default: dev-ROLE)')
    .option('--patient <id>', 'id of the patient in context', fhirId)
    .option('--scope <scopes>', 'SMART scopes, e.g. "user/*.cruds" (default: those of the role)')
    .option('--purpose <code>', 'purpose of use, e.g. TREAT (default: that of the role)')
    .option('--no-mfa', 'a token that does not claim a second factor')
    .addOption(
      new Option('--ttl <duration>', 'lifetime, e.g. 90s, 5m or 1h')
        .argParser(seconds)
        .default(TTL_DEFAULT_SECONDS, '5m'),
    )
    .action(async ({ ttl, ...flags }: Flags) => {
      const token = await services.mintToken({ ...claimsOf(flags.role), ...flags, ttlSeconds: ttl });
      const answer = { token, role: flags.role, expiresInSeconds: ttl };
      terminal.out.write(flags.json ? `${JSON.stringify(answer)}\n` : `${token}\n`);
    });
}
