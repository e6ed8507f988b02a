/** FHIR transaction bundles for whole-product tests: ours always, others when KEYWARD_TEST_FHIR_DATA names a folder of them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './product.ts';

export interface Resource {
  readonly resourceType: string;
  readonly id?: string;
  readonly [name: string]: unknown;
}

export interface Bundle {
  readonly resourceType: 'Bundle';
  readonly type: string;
  readonly entry: readonly {
    readonly fullUrl: string;
    readonly resource: Resource;
    readonly request: { readonly method: string; readonly url: string };
  }[];
}

export interface DataSet {
  readonly name: string;
  readonly folder: string;
  /** Why it is not there, when it is not. */
  readonly missing: string | undefined;
}

const others = process.env['KEYWARD_TEST_FHIR_DATA'];

export const DATA_SETS: readonly DataSet[] = [
  { name: 'the sample data', folder: join(ROOT, 'examples/data'), missing: undefined },
  {
    name: 'the Synthea bundles',
    folder: others ?? '',
    missing: others && existsSync(others) ? undefined : 'KEYWARD_TEST_FHIR_DATA names no folder',
  },
];

/** In the order `demo load` posts them. */
export function readBundles(folder: string): { readonly file: string; readonly bundle: Bundle }[] {
  const rank = (file: string) => (file.startsWith('hospital') ? 0 : file.startsWith('practitioner') ? 1 : 2);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted((left, right) => rank(left) - rank(right) || left.localeCompare(right))
    .map((file) => ({ file, bundle: JSON.parse(readFileSync(join(folder, file), 'utf8')) as Bundle }));
}

/** Without what the server decides: ids, references, meta. */
export function comparable(resource: unknown): unknown {
  return JSON.parse(
    JSON.stringify(resource, (name, value: unknown) =>
      name === 'id' || name === 'meta' || name === 'reference' ? undefined : value,
    ),
  );
}

const MOTHERS_MAIDEN_NAME = 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName';

interface PatientLike {
  readonly name?: readonly { readonly family?: string; readonly given?: readonly string[] }[];
  readonly identifier?: readonly { readonly value?: string }[];
  readonly telecom?: readonly { readonly value?: string }[];
  readonly address?: readonly { readonly line?: readonly string[] }[];
  readonly birthDate?: string;
  readonly extension?: readonly { readonly url: string; readonly valueString?: string }[];
}

/** Everything about the patients and staff of these bundles that must be found in no file. */
export function identifyingTexts(bundles: readonly { readonly bundle: Bundle }[]): Set<string> {
  const texts = new Set<string>();
  const add = (text: string | undefined) => {
    // Shorter ones occur in any binary file by chance, and so do short numbers in ids and hashes.
    if (text !== undefined && text.length >= (/^[0-9a-f]+$/i.test(text) ? 9 : 6)) texts.add(text);
  };
  for (const { bundle } of bundles) {
    for (const { resource } of bundle.entry) {
      for (const { value } of (resource as PatientLike).identifier ?? []) add(value);
      if (!['Patient', 'Practitioner'].includes(resource.resourceType)) continue;
      const person = resource as PatientLike;
      for (const { family, given = [] } of person.name ?? []) for (const text of [family, ...given]) add(text);
      for (const { value } of person.telecom ?? []) add(value);
      for (const { line = [] } of person.address ?? []) for (const text of line) add(text);
      for (const { url, valueString } of person.extension ?? []) if (url === MOTHERS_MAIDEN_NAME) add(valueString);
      add(person.birthDate);
    }
  }
  return texts;
}
