/** `keyward seal leakage`: what the blind indexes and years of one's own data tell somebody who sees only the upstream; needs no key. */
import { blindIndex, generateDataKey } from '@keyward/sdk/seal';
import type { Command } from 'commander';
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { type Catalogue, type FhirResource, termsToShow, visibleTerms } from '../../phi/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { createTally, type LeakageReport, type Tally } from '../seal/leakage.ts';
import { renderLeakage } from '../seal/leakage-screen.ts';
import { createCounter } from '../seal/counter.ts';
import { readResources } from '../seal/resources.ts';
import { readAuthorization, readStored } from '../seal/stored.ts';
import { verb } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly upstream?: string;
  readonly authorizationEnv?: string;
  readonly authorizationFile?: string;
}

export function sealLeakageCommand(context: CliContext): Command {
  return verb(
    'leakage',
    'Measure what blind indexes and years of birth tell about your own data; exit status 1 when one tells too much.',
    'keyward seal leakage ./export/*.ndjson',
  )
    .argument('[path...]', 'files and folders of FHIR JSON or NDJSON, before they are sealed; - reads standard input')
    .option('--upstream <url>', 'count what this FHIR server stores instead (FHIR base)')
    .option('--authorization-env <name>', 'environment variable that holds the Authorization header for it')
    .option('--authorization-file <file>', 'file that holds the Authorization header for it')
    .action(async (paths: string[], flags: Flags) => {
      if (paths.length > 0 === (flags.upstream !== undefined))
        throw new KeywardError('CLI_USAGE', { detail: 'name files, or an upstream' });
      const report = await measured(context, paths, flags);
      const { out } = context.terminal;
      out.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : renderLeakage(report, out));
      if (report.classes.some(({ verdict }) => verdict === 'refused')) throw new KeywardError('CLI_INDEX_LEAKS');
    });
}

async function measured(
  { services, terminal, clock }: CliContext,
  paths: string[],
  flags: Flags,
): Promise<LeakageReport> {
  const { catalogue } = services.sealing(flags);
  const tally = createTally();
  const { authorizationEnv: environment, authorizationFile: file, upstream } = flags;
  const authorization = readAuthorization({ environment, file }, process.env);
  const resources =
    upstream === undefined ? readResources(paths) : readStored({ url: upstream, authorization }, catalogue);
  const count = upstream === undefined ? countPlain(tally, clock.now(), catalogue) : countSealed(tally, catalogue);
  const counter = createCounter(terminal.err);
  const skipped: Record<string, number> = {};
  for await (const resource of resources) {
    counter.next();
    try {
      count(resource);
    } catch (thrown) {
      const { code } = asKeywardError(thrown);
      skipped[code] = (skipped[code] ?? 0) + 1;
    }
  }
  counter.end();
  return tally.report(counter.total(), skipped);
}

/** Indexes under a key that nobody keeps: equal as under the real one, and of no use to anybody. */
function countPlain(tally: Tally, now: Date, catalogue: Catalogue): (resource: FhirResource) => void {
  const key = generateDataKey();
  return (resource) => {
    for (const { kind, path, value } of termsToShow(resource, now, catalogue)) {
      const shown = typeof value === 'string' ? value : blindIndex(key, value.indexClass, value.system, value.text);
      if (shown !== undefined) tally.count(kind, path, shown);
    }
  };
}

const countSealed = (tally: Tally, catalogue: Catalogue) => (resource: FhirResource) => {
  for (const { kind, path, value } of visibleTerms(resource, catalogue)) tally.count(kind, path, value);
};
