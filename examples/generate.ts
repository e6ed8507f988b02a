/** Writes examples/data: ten synthetic patients and whom they refer to, as FHIR R4 transactions; the same at every run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEOPLE } from './people.ts';
import { seededRandom } from './random.ts';
import { type Entry, patientEntries } from './resources.ts';
import { sharedFiles } from './shared.ts';

/** Any number; changing it changes every id. */
const SEED = 20_250_704;

const DATA = join(import.meta.dirname, 'data');

/** File name → content. Names say nothing about patients, and sort in the order of loading. */
export function exampleFiles(): Map<string, string> {
  const random = seededRandom(SEED);
  const { hospital, practitioner, shared } = sharedFiles(random);
  const patients = PEOPLE.map((person, index): [string, string] => [
    `patient-${String(index + 1).padStart(2, '0')}.json`,
    transaction(patientEntries(random, person, index, shared)),
  ]);
  return new Map([
    ['hospital-meadowbrook.json', transaction(hospital)],
    ...patients,
    ['practitioner-meadowbrook.json', transaction(practitioner)],
  ]);
}

const transaction = (entry: readonly Entry[]): string =>
  `${JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }, null, 1)}\n`;

if (import.meta.main) {
  mkdirSync(DATA, { recursive: true });
  for (const [name, content] of exampleFiles()) writeFileSync(join(DATA, name), content);
}
