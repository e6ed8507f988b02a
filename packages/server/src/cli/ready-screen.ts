/** What `keyward up` prints when it is ready: the line that programs wait for, then three commands to try. */
import { fhirBase } from './instance.ts';
import { paint, type Output } from './terminal.ts';
import { DEFAULT_DATA_DIR } from './verb.ts';

export interface ReadyScreen {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly dataDir: string;
}

export function readyScreen({ gatewayUrl, adminUrl, dataDir }: ReadyScreen, output: Output): string {
  const option = dataDir === DEFAULT_DATA_DIR ? '' : ` --data-dir ${shellWord(dataDir)}`;
  const dim = (text: string) => paint(output, 'dim', text);
  const ca = shellWord(`${dataDir}/ca.pem`);
  const search = `curl --cacert ${ca} -H "Authorization: Bearer $(npx keyward token --role clinician${option})" ${fhirBase(gatewayUrl)}/Patient`;
  return [
    `${paint(output, ['bold', 'green'], 'keyward is ready')}  gateway ${fhirBase(gatewayUrl)}  admin ${new URL(adminUrl).origin}`,
    '',
    'Try next, in another terminal:',
    `  npx keyward demo load${option}      ${dim('# ten synthetic patients, through the gateway')}`,
    `  npx keyward demo reveal${option}    ${dim('# one of them: as a clinician, as billing, as the database holds it')}`,
    `  ${search}`,
    '',
  ].join('\n');
}

/** A word for a POSIX shell, quoted only when it must be. */
const shellWord = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
