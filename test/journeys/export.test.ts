/** Bulk export on the built-in store: kick-off, manifest, files line by line, in bounded memory. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import {
  createAll,
  exporter,
  kickOff,
  observationOf,
  openFile,
  outputs,
  readLines,
  resourcesOf,
  statusPath,
} from '../support/export.ts';
import { pidOf } from '../support/processes.ts';
import { type Product, startProduct } from '../support/product.ts';

const PATIENTS = 20;
const OBSERVATIONS = 3_000;
const PER_TRANSACTION = 1_000;
const FAMILY = 'Quillington';

let product: Product;
let clinician: string;
let exporting: string;
let researching: string;
let patients: string[];
let group: string;

const patient = (number: number) => ({
  resourceType: 'Patient',
  name: [{ family: FAMILY, given: [`Given ${number}`] }],
  birthDate: '1970-01-31',
});

before(async () => {
  product = await startProduct();
  clinician = await product.token({ role: 'clinician' });
  exporting = await exporter(product, { role: 'clinician' });
  researching = await exporter(product, { role: 'researcher' });
  patients = await createAll(
    product,
    clinician,
    Array.from({ length: PATIENTS }, (_, number) => patient(number)),
  );
  await observe(OBSERVATIONS);
  const entity = (id: string | undefined) => ({ reference: `Patient/${id ?? ''}` });
  const members = [{ entity: entity(patients[0]) }, { entity: entity(patients[1]) }];
  const former = { entity: entity(patients[2]), inactive: true };
  [group = ''] = await createAll(product, clinician, [
    { resourceType: 'Group', type: 'person', actual: true, member: [...members, former] },
    { resourceType: 'Organization', name: 'General Hospital' },
    { resourceType: 'Observation', status: 'final', code: { text: 'of nobody' } },
  ]);
});

/** Observations of all patients in turn. */
async function observe(count: number): Promise<void> {
  for (let made = 0; made < count; made += PER_TRANSACTION) {
    const some = Array.from({ length: Math.min(PER_TRANSACTION, count - made) }, (_, index) =>
      observationOf(patients[(made + index) % patients.length] ?? '', made + index),
    );
    await createAll(product, clinician, some);
  }
}

const ofType = (list: Awaited<ReturnType<typeof outputs>>, type: string) => {
  const found = list.find((output) => output.type === type);
  assert.ok(found, `the manifest has no ${type}`);
  return found;
};

test('[E1] an export gives each resource once, opened for whom the policy opens it', async () => {
  const list = await outputs(product, '/$export', exporting);
  assert.deepEqual(
    list.map(({ type }) => type),
    ['Group', 'Observation', 'Organization', 'Patient'],
  );
  const observations = await resourcesOf(product, ofType(list, 'Observation'), exporting);
  assert.equal(new Set(observations.map(({ id }) => id)).size, OBSERVATIONS + 1);
  assert.equal(observations.length, OBSERVATIONS + 1);
  const notes = new Set(observations.map(({ note }) => (note as { text: string }[] | undefined)?.[0]?.text));
  assert.ok(notes.has('Noted with care, number 0') && notes.has(`Noted with care, number ${OBSERVATIONS - 1}`));
  const people = await resourcesOf(product, ofType(list, 'Patient'), exporting);
  assert.deepEqual([...new Set(people.map(({ name }) => (name as { family: string }[])[0]?.family))], [FAMILY]);
});

test('[A4] what the policy does not open leaves withheld and says so', async () => {
  const list = await outputs(product, '/$export', researching);
  assert.deepEqual(
    list.map(({ type }) => type),
    ['Observation', 'Patient'],
    'types the role may not export are left out',
  );
  const people = await resourcesOf(product, ofType(list, 'Patient'), researching);
  assert.equal(people.length, PATIENTS);
  for (const person of people) {
    assert.doesNotMatch(JSON.stringify(person), /Quillington|Given|1970-01-31|kw1\./);
    assert.match(JSON.stringify(person['meta']), /SUBSETTED/);
  }
});

test('[E1] the manifest tells when, of what request, and that files need the token', async () => {
  const started = Date.now();
  const answer = await kickOff(product, { path: '/Patient/$export?_type=Patient', token: exporting });
  const path = statusPath(product, answer);
  const { body, headers } = await product.fhir({ path, token: exporting });
  assert.equal(headers['content-type'], 'application/json');
  const { transactionTime, output, ...rest } = body as unknown as { transactionTime: string; output: unknown[] };
  assert.ok(Date.parse(transactionTime) >= started - 1 && Date.parse(transactionTime) <= Date.now());
  assert.equal(output.length, 1);
  const request = `${product.base}/Patient/$export?_type=Patient`;
  assert.deepEqual(rest, { request, requiresAccessToken: true, error: [] });
  assert.equal((await product.fhir({ path, token: exporting, method: 'DELETE' })).status, 202);
});

test('[E1] a patient-level export holds what is of some patient, a group-level one what is of its members', async () => {
  const all = await outputs(product, '/Patient/$export', exporting);
  assert.ok(!all.some(({ type }) => type === 'Organization'));
  assert.equal((await resourcesOf(product, ofType(all, 'Observation'), exporting)).length, OBSERVATIONS);
  const some = await outputs(product, `/Group/${group}/$export`, exporting);
  const members = await resourcesOf(product, ofType(some, 'Patient'), exporting);
  assert.deepEqual(new Set(members.map(({ id }) => id)), new Set(patients.slice(0, 2)));
  assert.equal(members.length, 2);
  const observations = await resourcesOf(product, ofType(some, 'Observation'), exporting);
  assert.equal(observations.length, (2 * OBSERVATIONS) / PATIENTS);
  const subjects = new Set(observations.map(({ subject }) => (subject as { reference: string }).reference));
  assert.deepEqual(subjects, new Set(patients.slice(0, 2).map((id) => `Patient/${id}`)));
});

test('[E1] the manifest of patients, or of a group, names no type that only others have', async () => {
  await createAll(product, clinician, [
    { resourceType: 'Condition', subject: { reference: `Patient/${patients.at(-1) ?? ''}` } },
    { resourceType: 'Communication', status: 'completed' },
  ]);
  const typesOf = async (path: string) => (await outputs(product, path, exporting)).map(({ type }) => type);
  const types = '_type=Communication,Condition,Observation';
  assert.deepEqual(await typesOf(`/$export?${types}`), ['Communication', 'Condition', 'Observation']);
  assert.deepEqual(await typesOf(`/Patient/$export?${types}`), ['Condition', 'Observation']);
  assert.deepEqual(await typesOf(`/Group/${group}/$export?_type=Condition,Observation`), ['Observation']);
});

test('[E1] _since and _type narrow an export, asked for in a URL or in Parameters; its own instant ends it', async () => {
  const begun = await kickOff(product, { path: '/$export?_type=Organization', token: exporting });
  const since = new Date().toISOString();
  const [added] = await createAll(product, clinician, [{ resourceType: 'Organization', name: 'Second Hospital' }]);
  const manifest = await product.fhir({ path: statusPath(product, begun), token: exporting });
  const [earlier] = manifest.body['output'] as unknown as { type: string; url: string }[];
  assert.ok(earlier);
  assert.equal((await resourcesOf(product, earlier, exporting)).length, 1, 'what came later is not in it');
  const json = {
    resourceType: 'Parameters',
    parameter: [
      { name: '_type', valueString: 'Organization' },
      { name: '_since', valueInstant: since },
      { name: '_outputFormat', valueString: 'application/fhir+ndjson' },
    ],
  };
  const answer = await kickOff(product, { path: '/$export', token: exporting, json });
  const second = await product.fhir({ path: statusPath(product, answer), token: exporting });
  const [narrowed] = second.body['output'] as unknown as { type: string; url: string }[];
  assert.ok(narrowed);
  assert.deepEqual(
    (await resourcesOf(product, narrowed, exporting)).map(({ id }) => id),
    [added],
  );
});

const REFUSED: readonly (readonly [what: string, path: string, refusal: string])[] = [
  ['a filter', '/$export?_typeFilter=Patient%3Factive%3Dtrue', '400 FHIR_PARAM_UNSUPPORTED'],
  ['one patient', '/Patient/$export?patient=Patient/1', '400 FHIR_PARAM_UNSUPPORTED'],
  ['associated data', '/$export?includeAssociatedData=LatestProvenanceResources', '400 FHIR_PARAM_UNSUPPORTED'],
  ['elements', '/$export?_elements=id', '400 FHIR_PARAM_UNSUPPORTED'],
  ['what nobody knows', '/$export?x=y', '400 FHIR_PARAM_UNSUPPORTED'],
  ['another format', '/$export?_outputFormat=text/csv', '400 FHIR_PARAM_INVALID'],
  ['a date', '/$export?_since=2026-01-02', '400 FHIR_PARAM_INVALID'],
  ['no type of R4', '/$export?_type=Patiemt', '404 FHIR_TYPE_UNKNOWN'],
  ['a type of no patient', '/Patient/$export?_type=Organization', '400 FHIR_PARAM_INVALID'],
  ['no such group', '/Group/00000000-0000-4000-8000-000000000000/$export', '404 FHIR_NOT_FOUND'],
];
for (const [what, path, refusal] of REFUSED) {
  test(`[A3] a kick-off that asks for ${what} is answered ${refusal}`, async () => {
    assert.equal(refusalOf(await kickOff(product, { path, token: exporting })), refusal);
  });
}

test('[A3] without "Prefer: respond-async" there is no export, and none in a batch', async () => {
  assert.equal(refusalOf(await product.fhir({ path: '/$export', token: exporting })), '400 FHIR_EXPORT_ASYNC');
  const entry = [{ request: { method: 'GET', url: '$export' } }];
  const json = { resourceType: 'Bundle', type: 'batch', entry };
  const { body } = await product.fhir({ path: '', token: exporting, json });
  assert.equal(textOf(body['entry']?.[0]?.['response']?.['status']), '501');
});

test('[L1] each page of an export is in the ledger with its records, under the interaction of the file', async () => {
  const [output] = await outputs(product, '/$export?_type=Patient', exporting);
  assert.ok(output);
  const answer = await openFile(product, output.url, exporting);
  await readLines(answer, () => undefined);
  const entries = await product.ledger(`&correlationId=${String(answer.headers['x-correlation-id'])}`);
  const disclosed = entries.filter((entry) => textOf(entry['class']) === 'disclosure');
  const resources = disclosed.flatMap((entry) => entry['event']?.['resources'] as unknown as string[]);
  assert.deepEqual(resources.toSorted(), patients.map((id) => `Patient/${id}`).toSorted());
  assert.deepEqual([...new Set(disclosed.map((entry) => entry['event']?.['interaction']))], ['exportFile']);
});

test('[E1] metadata names the export operations', async () => {
  const { body } = await product.fhir({ path: '/metadata' });
  const rest = body['rest']?.[0] as unknown as {
    operation: { name: string }[];
    resource: { type: string; operation?: { name: string }[] }[];
  };
  assert.ok(rest.operation.some(({ name }) => name === 'export'));
  const types = rest.resource.filter(({ operation = [] }) => operation.some(({ name }) => name === 'export'));
  assert.deepEqual(types.map(({ type }) => type).toSorted(), ['Group', 'Patient']);
});

test('[A1] smart-configuration needs no token and invents no endpoints for the development issuer', async () => {
  const { status, headers, body } = await product.fhir({ path: '/.well-known/smart-configuration' });
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(body, {
    issuer: 'urn:keyward:development-issuer',
    scopes_supported: ['patient/*.cruds', 'user/*.cruds', 'system/*.cruds'],
    capabilities: ['permission-patient', 'permission-user', 'permission-v1', 'permission-v2'],
  });
});

/** Highest resident memory of the gateway process so far. */
async function peakBytes(): Promise<number> {
  const pid = await pidOf(product, 'gateway');
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

const MIB = 1024 * 1024;

async function exportedCount(): Promise<number> {
  const [output] = await outputs(product, '/$export?_type=Observation', exporting);
  assert.ok(output);
  let count = 0;
  await readLines(await openFile(product, output.url, exporting), () => void count++);
  return count;
}

const onLinux = process.platform === 'linux' ? false : 'memory is read from /proc';
test('[E1] an export holds a page in memory, not the export', { skip: onLinux }, async () => {
  // The first exports compile code and fill caches; what grows behind them would grow with every export.
  for (let run = 0; run < 4; run++) await exportedCount();
  const warm = await peakBytes();
  for (let run = 0; run < 4; run++) await exportedCount();
  const grown = (await peakBytes()) - warm;
  assert.ok(grown < 60 * MIB, `grew by ${Math.round(grown / MIB)} MiB`);
});

const long = onLinux || (process.env['KEYWARD_TEST_ALL'] ? false : 'a long run');
test('[E1] 100,000 observations leave through less than 300 MB of memory', { skip: long }, async () => {
  const small = product;
  // From here on the helpers above work on one of its own.
  product = await startProduct();
  try {
    clinician = await product.token({ role: 'clinician', ttlSeconds: 3600 });
    const people = Array.from({ length: 1000 }, (_, number) => patient(number));
    patients = await createAll(product, clinician, people);
    await observe(100_000);
    exporting = await exporter(product, { role: 'clinician', ttlSeconds: 3600 });
    // What writing took is not what the export takes: it is measured from its own start.
    await product.stop();
    await product.start();
    assert.equal(await exportedCount(), 100_000);
    const peak = await peakBytes();
    assert.ok(peak < 300_000_000, `${Math.round(peak / MIB)} MiB`);
  } finally {
    product = small;
  }
});
