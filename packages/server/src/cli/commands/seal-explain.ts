/** `keyward seal explain`: what is sealed of a resource, how, and who may open it; needs no running instance. */
import type { Command } from 'commander';
import type { CliContext, CommonOptions } from '../context.ts';
import { combined, type ExplainedElement, explainResource, renderExplanation } from '../seal/explain.ts';
import { readResources } from '../seal/resources.ts';
import { verb } from '../verb.ts';

interface Flags extends CommonOptions {
  readonly all?: boolean;
}

export function sealExplainCommand({ services, terminal }: CliContext): Command {
  return verb(
    'explain',
    'Show what is sealed of a resource, how, and which roles may open it; no values.',
    'keyward seal explain patient.json --config keyward.yaml',
  )
    .argument('<file>', 'a FHIR resource or bundle in JSON, or an .ndjson file; - reads JSON from standard input')
    .option('--all', 'also the elements that stay clear')
    .action(async (file: string, flags: Flags) => {
      const { catalogue, openedBy } = services.sealing(flags);
      let elements: ExplainedElement[] = [];
      for await (const resource of readResources([file]))
        elements = combined([...elements, ...explainResource(resource, catalogue, openedBy)]);
      const rows = elements.filter(({ treatment }) => flags.all || treatment !== 'clear');
      const answer = { catalogue: catalogue.version, elements: rows };
      terminal.out.write(
        flags.json
          ? `${JSON.stringify(answer, null, 2)}\n`
          : rows.length === 0
            ? 'Nothing of it is sealed.\n'
            : renderExplanation(rows),
      );
    });
}
