/** All official R4 examples through the seal and back, with real keys; every file of the package is accounted for. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { blindIndex, createEngine, generateDataKey, type Json } from '@keyward/sdk/seal';
import { type FhirResource, isResourceType, type OpenPlan, planOpen, planSeal, type SealSite } from './index.ts';
import { EXAMPLES, NOW, OWN, readExample, ROOT } from './test-support.ts';

/** Files of the package `hl7.fhir.r4.examples` 4.0.1. */
const ALL_FILES = 5307;
/** Files that are no resources. */
const NO_RESOURCES: Readonly<Record<string, string>> = {
  'package.json': 'the manifest of the npm package',
  'ig-r4.json': 'a list of the specification’s pages',
};

const engine = createEngine();
const key = generateDataKey();

const contextOf = (
  objectType: string,
  { path, datatype, fieldClass }: Pick<SealSite, 'path' | 'datatype' | 'fieldClass'>,
) => ({
  tenant: 'default',
  scope: ROOT.scope,
  objectId: ROOT.objectId,
  objectType,
  path,
  datatype,
  fieldClass,
});

/** As the gateway seals: one engine call per resource. */
function seal(resource: FhirResource): { sealed: FhirResource; sites: readonly SealSite[] } {
  const plan = planSeal(resource, OWN);
  const tokens = engine.sealMany(
    plan.sites.map((site) => ({ key, context: contextOf(resource.resourceType, site), value: site.value })),
  );
  const sealed = plan.sites.map(({ terms }, index) => ({
    token: tokens[index] as string,
    indexes: terms.map(({ indexClass, system, text }) => blindIndex(key, indexClass, system, text) ?? ''),
  }));
  return { sealed: plan.apply(sealed, ROOT, NOW), sites: plan.sites };
}

function openedBy(plan: OpenPlan, resourceType: string): FhirResource {
  const items = plan.sites.map((site) => ({ key, context: contextOf(resourceType, site), token: site.token }));
  return plan.apply(engine.openMany(items).map((value) => ({ kind: 'open', value: value ?? null })));
}

/** Equal for equal resources, whatever the order of their members; numbers with the digits they were written with. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return JSON.stringify(value);
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, part]) => `${JSON.stringify(name)}:${canonical(part)}`).join()}}`;
}

/**
 * A value of the same datatype that stands nowhere in an example. Replacing every sealed value by one of these tells a leak from a text that
 * also stands, legitimately, in an element that stays clear: what is found of them afterwards can only come from an element that is sealed.
 */
function canary({ datatype }: SealSite, number: number): Json {
  const word = `Canary${number}x`;
  const byType: Readonly<Record<string, Json>> = {
    date: '1971-10-09',
    dateTime: '1971-10-09T08:07:06Z',
    instant: '1971-10-09T08:07:06Z',
    time: '08:07:06',
    base64Binary: Buffer.from(`Canary ${number}`).toString('base64'),
    xhtml: `<div xmlns="http://www.w3.org/1999/xhtml">${word}</div>`,
    url: `http://canary.example/${word}`,
    uri: `http://canary.example/${word}`,
    boolean: true,
    integer: 971009871,
    positiveInt: 971009871,
    unsignedInt: 971009871,
    decimal: JSON.rawJSON('97.100987100'),
    code: word,
  };
  return byType[datatype] ?? word;
}

const CANARY = /canary|Q2FuYXJ5|1971-10|08:07:06|97\.?1009871/i;

/** What is stored of the resource when a canary stands in the place of each sealed value. */
function storedWithCanaries(plan: OpenPlan, sites: readonly SealSite[]): string {
  // Sealing and opening walk in one order, so that the sites are the same.
  assert.ok(plan.sites.every(({ path, position }, at) => path === sites[at]?.path && position === sites[at]?.position));
  const marked = plan.apply(sites.map((site, number) => ({ kind: 'open', value: canary(site, number) })));
  const again = planSeal(marked, OWN);
  assert.equal(again.sites.length, sites.length);
  const nothing = { token: 'kw1.nothing', indexes: ['kwi1nothing', 'kwi1nothing'] };
  return JSON.stringify(
    again.apply(
      again.sites.map(() => nothing),
      ROOT,
      NOW,
    ),
  );
}

test('[E1] every official example is sealed, shows nothing of what is sealed, and comes back as it was', (t) => {
  const counts = { files: 0, sealed: 0, 'without anything to seal': 0, values: 0 };
  const skipped: string[] = [];
  for (const name of readdirSync(EXAMPLES)) {
    counts.files += 1;
    const original = readExample(name);
    if (NO_RESOURCES[name] !== undefined || !isResourceType(original.resourceType)) {
      skipped.push(name);
      continue;
    }
    const { sealed, sites } = seal(original);
    const plan = planOpen(sealed, OWN);
    assert.equal(canonical(openedBy(plan, original.resourceType)), canonical(original), name);
    counts.values += sites.length;
    counts[sites.length === 0 ? 'without anything to seal' : 'sealed'] += 1;
    if (sites.length === 0) continue;
    assert.doesNotMatch(storedWithCanaries(plan, sites), CANARY, name);
    const withheld = plan.apply(sites.map(() => ({ kind: 'withhold' })));
    assert.doesNotMatch(JSON.stringify(withheld), /kw1\.|kwi1|urn:keyward/, name);
  }
  t.diagnostic(
    `${JSON.stringify(counts)}, no resources: ${skipped.map((name) => `${name} (${NO_RESOURCES[name]})`).join(', ')}`,
  );
  assert.deepEqual(skipped.sort(), Object.keys(NO_RESOURCES).sort());
  assert.equal(counts.files, ALL_FILES);
  assert.equal(counts.sealed + counts['without anything to seal'] + skipped.length, ALL_FILES);
});
