/** What the tests need of a FHIR server that we did not write: where it is, and everything it has written down. */
import assert from 'node:assert/strict';
import { CANARIES } from '../support/canaries.ts';
import { DATA_SETS, identifyingTexts, readBundles } from '../support/fhir-data.ts';
import { filesHolding } from '../support/product.ts';

export interface ForeignServer {
  /** Its FHIR base, without a trailing slash. */
  readonly url: string;
  /** Folders with its database, logs and all else that it keeps, once it has written what it holds in memory. */
  written(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Bundles of the journey: ours, and one patient of Synthea's when they are at hand. */
export const BUNDLES = DATA_SETS.flatMap(({ folder, missing }, index) => {
  if (missing) return [];
  const all = readBundles(folder);
  const patients = all.filter(({ file }) => !/^(hospital|practitioner)/.test(file));
  const context = all.filter(({ file }) => /^(hospital|practitioner)/.test(file));
  return index === 0 ? [...context, ...patients.slice(0, 3)] : [...context, ...smallest(patients)];
});

function smallest<Item extends { readonly bundle: { readonly entry: readonly unknown[] } }>(
  items: readonly Item[],
): Item[] {
  return items.toSorted((left, right) => left.bundle.entry.length - right.bundle.entry.length).slice(0, 1);
}

/** The short canaries are days and numbers that any log holds by chance. */
const isTelling = (text: string): boolean => text.length > 6;

const CLINICAL = JSON.stringify(
  BUNDLES.flatMap(({ bundle }) => bundle.entry.map(({ resource }) => resource)).filter(
    ({ resourceType }) => resourceType !== 'Patient',
  ),
);

/** A newborn's first encounter is on the day of birth, and clinical dates stay clear. */
const isClinicalDay = (text: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(text) && CLINICAL.includes(text);

/** Texts of the patients that the server must never have seen. Staff and organisations stay in clear on a server of yours. */
function hiddenTexts(): Set<string> {
  const of = (isWanted: (type: string) => boolean) =>
    identifyingTexts(
      BUNDLES.map(({ bundle }) => ({
        bundle: { ...bundle, entry: bundle.entry.filter(({ resource }) => isWanted(resource.resourceType)) },
      })),
    );
  const inClear = of((type) => type !== 'Patient');
  return new Set(
    [...of((type) => type === 'Patient'), ...CANARIES].filter(
      (text) => isTelling(text) && !inClear.has(text) && !isClinicalDay(text),
    ),
  );
}

/** What every server must have kept, so that a scan that reads nothing is noticed. */
const KEPT = new Set(['http://loinc.org', 'urn:keyward:root']);

/** @param alreadyThere texts that were in the folders before any patient was, as a time zone of PostgreSQL may be */
export async function assertNothingHidden(server: ForeignServer, alreadyThere: ReadonlySet<string>): Promise<void> {
  const folders = await server.written();
  const kept = new Set(folders.flatMap((folder) => filesHolding(folder, KEPT).map(({ text }) => text)));
  assert.deepEqual(kept, KEPT, 'the scan sees what must be there');
  const hidden = new Set([...hiddenTexts()].filter((text) => !alreadyThere.has(text)));
  assert.ok(hidden.size > 20);
  assert.deepEqual(
    folders.flatMap((folder) => filesHolding(folder, hidden)),
    [],
  );
}

export async function hiddenTextsIn(server: ForeignServer): Promise<Set<string>> {
  const hidden = hiddenTexts();
  const folders = await server.written();
  return new Set(folders.flatMap((folder) => filesHolding(folder, hidden).map(({ text }) => text)));
}
