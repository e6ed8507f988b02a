/** `keyward seal explain` and `keyward seal leakage`, run as a user runs them; nothing of Keyward is running. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCatalogue, type FhirResource, parseOverrides, planSeal } from '../../phi/index.ts';
import type { LeakageReport } from '../seal/leakage.ts';
import { measure } from '../seal/leakage.ts';
import { openWorld, type World } from '../testing.ts';

const PATIENT = {
  resourceType: 'Patient',
  gender: 'male',
  identifier: [{ system: 'urn:mrn', value: 'MRN-4711' }],
  name: [{ family: 'Chalmers', given: ['Peter', 'James'] }],
  birthDate: '1974-12-25',
};
const VALUES = /MRN-4711|Chalmers|Peter|James|1974|urn:mrn/;

function fileIn(world: World, name: string, content: unknown): string {
  const file = join(world.directory, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function leakage(world: World, ...args: string[]): Promise<{ status: number; report: LeakageReport }> {
  const { status, out } = await world.keyward('seal', 'leakage', '--json', ...args);
  return { status, report: JSON.parse(out) as LeakageReport };
}

const kindOf = (report: LeakageReport, kind: string) => report.classes.find((one) => one.kind === kind);

test('[E1] seal explain says what is sealed and who may open it, and shows no value', async () => {
  await using world = await openWorld({ running: false });
  const { status, out, err } = await world.keyward('seal', 'explain', fileIn(world, 'patient.json', PATIENT));
  assert.deepEqual([status, err], [0, '']);
  assert.doesNotMatch(out, VALUES);
  assert.match(out, /^Patient\.name\.given +string +2 +index:given +name +clinician$/m);
  assert.match(out, /^Patient\.birthDate +date +1 +year +birthDate +clinician$/m);
  assert.doesNotMatch(out, /gender/);
});

test('[E1] seal explain --all --json also names what stays clear, and the override that says so', async () => {
  await using world = await openWorld({ running: false });
  const lines = 'version: 1\nelements: { Patient.gender: { treatment: omit, class: label } }';
  world.services = {
    ...world.services,
    sealing: () => ({ catalogue: createCatalogue(parseOverrides(lines)), openedBy: () => [] }),
  };
  const { out } = await world.keyward('seal', 'explain', '--all', '--json', fileIn(world, 'patient.json', PATIENT));
  const { elements } = JSON.parse(out) as { elements: Record<string, unknown>[] };
  assert.doesNotMatch(out, VALUES);
  const row = (element: string) => elements.find((one) => one['element'] === element);
  assert.deepEqual(row('Patient.gender'), {
    element: 'Patient.gender',
    datatype: 'code',
    values: 1,
    treatment: 'omit',
    class: 'label',
    index: null,
    openedBy: [],
    override: 'elements.Patient.gender',
  });
  assert.equal(row('Patient.identifier.system')?.['treatment'], 'clear');
});

test('[E1] seal explain takes the entries of a transaction one by one, and a document whole', async () => {
  await using world = await openWorld({ running: false });
  const bundle = (type: string) => ({ resourceType: 'Bundle', type, entry: [{ resource: PATIENT }] });
  const explained = async (type: string) =>
    (await world.keyward('seal', 'explain', fileIn(world, `${type}.json`, bundle(type)))).out;
  assert.match(await explained('transaction'), /^Patient\.name\.family /m);
  assert.match(await explained('document'), /^Bundle\.entry\.resource\.Patient\.name\.family /m);
});

test('[E1] seal explain tells by code what sealing would refuse, and what is no FHIR', async () => {
  await using world = await openWorld({ running: false });
  const cases = [
    [{ ...PATIENT, favouriteColour: 'blue' }, /FHIR_RESOURCE_INVALID/],
    [{ resourceType: 'Nothing' }, /CLI_INPUT/],
    ['{', /CLI_INPUT .*JSON_MALFORMED/],
  ] as const;
  for (const [content, code] of cases) {
    const { status, err } = await world.keyward('seal', 'explain', fileIn(world, 'bad.json', content));
    assert.notEqual(status, 0);
    assert.match(err, code);
    assert.doesNotMatch(err, /blue|Nothing/);
  }
});

/** Patients of whom every n-th has the same family name. */
const patients = (count: number, common: number): string =>
  Array.from({ length: count }, (_, number) =>
    JSON.stringify({ ...PATIENT, name: [{ family: number % common === 0 ? 'Smith' : `Name${number}` }] }),
  ).join('\n');

test('[E7] seal leakage accepts an index of many names, and refuses one in which a name stands out', async () => {
  await using world = await openWorld({ running: false });
  const many = await leakage(world, fileIn(world, 'many.ndjson', patients(400, 20)));
  assert.equal(kindOf(many.report, 'family')?.verdict, 'accepted');
  const common = await world.keyward('seal', 'leakage', fileIn(world, 'common.ndjson', patients(400, 2)));
  assert.equal(common.status, 1);
  assert.match(common.out, /^family {2}refused: one value has more than 20 % of all$/m);
  assert.match(common.err, /CLI_INDEX_LEAKS/);
  assert.doesNotMatch(common.out + common.err, /Smith|Name1|MRN/);
});

test('[E7] seal leakage counts with the normaliser of the index, the system-less index, and years', async () => {
  await using world = await openWorld({ running: false });
  const lines = ['Smith', ' SMITH', 'Smythe'].map((family) => ({ ...PATIENT, name: [{ family }] }));
  const file = fileIn(world, 'few.ndjson', lines.map((line) => JSON.stringify(line)).join('\n'));
  const { status, report } = await leakage(world, file);
  const family = kindOf(report, 'family');
  assert.deepEqual([family?.values, family?.distinct, family?.largest, family?.verdict], [3, 2, 2, 'too few values']);
  assert.deepEqual([kindOf(report, 'identifier*')?.distinct, kindOf(report, 'year')?.distinct], [1, 1]);
  assert.deepEqual([status, report.resources], [0, 3]);
});

test('[P2] seal leakage names the line of a file that cannot be read, and nothing that stands in it', async () => {
  await using world = await openWorld({ running: false });
  const good = JSON.stringify(PATIENT);
  const broken: Readonly<Record<string, string>> = {
    JSON_MALFORMED: good.slice(0, -1),
    JSON_DUPLICATE_KEY: good.replace('{', '{"birthDate":"1974-12-25",'),
    'is no R4 resource': JSON.stringify({ ...PATIENT, resourceType: 'Chalmers' }),
  };
  for (const [why, line] of Object.entries(broken)) {
    const file = fileIn(world, 'broken.ndjson', [good, '', line, good].join('\n'));
    const { status, out, err } = await world.keyward('seal', 'leakage', file);
    assert.equal(status, 2, why);
    assert.match(err, /CLI_INPUT .*broken\.ndjson, line 3\b/);
    assert.ok(err.includes(why), err);
    assert.doesNotMatch(out + err, VALUES);
  }
});

test('[E7] what sealing would refuse is not counted, and said by its code', async () => {
  await using world = await openWorld({ running: false });
  const { report } = await leakage(world, fileIn(world, 'odd.json', { ...PATIENT, favouriteColour: 'blue' }));
  assert.deepEqual([report.skipped, report.classes], [{ FHIR_RESOURCE_INVALID: 1 }, []]);
});

test('[E7] entropy, share and distribution are those of the definition', () => {
  const even = measure(new Map(['a', 'b', 'c', 'd'].map((value) => [value, 5])));
  assert.deepEqual([even.entropyBits, even.normalisedEntropy, even.largestShare], [2, 1, 0.25]);
  const skewed = measure(new Map(['a', 'b', 'c', 'd'].map((value, index) => [value, [4, 2, 1, 1][index] ?? 0])));
  assert.equal(skewed.entropyBits, 1.75);
  assert.deepEqual(
    measure(
      new Map([
        ['a', 1],
        ['b', 10],
        ['c', 101],
      ]),
    ).occurring,
    {
      once: 1,
      'to 10 times': 10,
      'to 100 times': 0,
      'more often': 101,
    },
  );
});

/** As a gateway would have sealed it; the tokens are never opened. */
function stored(resource: FhirResource, index: string): FhirResource {
  const catalogue = createCatalogue();
  const plan = planSeal(resource, catalogue);
  const sealed = plan.sites.map(({ terms }) => ({ token: 'kw1.x', indexes: terms.map(() => index) }));
  return plan.apply(
    sealed,
    { objectId: 'o', scope: 's', policy: `1.${catalogue.version}`, proof: 'kw1.x' },
    new Date(),
  );
}

test('[E7] seal leakage counts what a server stores, page by page, and sends its header to that server only', async () => {
  await using world = await openWorld({ running: false });
  const seen: (string | undefined)[] = [];
  let next = '/fhir/Patient?page=2';
  const pages: Record<string, () => unknown> = {
    '/fhir/metadata': () => ({ resourceType: 'CapabilityStatement', rest: [{ resource: [{ type: 'Patient' }] }] }),
    '/fhir/Patient?_count=500': () => ({
      resourceType: 'Bundle',
      link: [{ relation: 'next', url: next }],
      entry: [{ resource: stored(PATIENT, 'kwi1aaa') }, { resource: stored(PATIENT, 'kwi1aaa') }],
    }),
    '/fhir/Patient?page=2': () => ({ resourceType: 'Bundle', entry: [{ resource: stored(PATIENT, 'kwi1bbb') }] }),
  };
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.end(JSON.stringify(pages[request.url ?? '']?.() ?? {}));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir`;
  const header = fileIn(world, 'header', 'Bearer upstream-secret\n');
  try {
    const { report } = await leakage(world, '--upstream', url, '--authorization-file', header);
    const family = kindOf(report, 'family');
    assert.deepEqual([family?.values, family?.distinct, family?.largest], [3, 2, 2]);
    assert.deepEqual([kindOf(report, 'identifier')?.values, kindOf(report, 'identifier*')?.values], [3, 3]);
    assert.deepEqual([kindOf(report, 'year')?.distinct, report.resources], [1, 3]);
    assert.deepEqual([...new Set(seen)], ['Bearer upstream-secret']);
    next = 'http://elsewhere.example/fhir/Patient?page=2';
    const lured = await world.keyward('seal', 'leakage', '--upstream', url);
    assert.equal(lured.status, 3);
    assert.match(lured.err, /CLI_UPSTREAM .*another server/);
  } finally {
    server.close().closeAllConnections();
  }
});

test('[E7] seal leakage wants files or an upstream, and no credentials in its arguments', async () => {
  await using world = await openWorld({ running: false });
  const refused = [
    [],
    ['--upstream', 'http://user:secret@localhost/fhir'],
    ['x.json', '--upstream', 'http://localhost/fhir'],
  ];
  for (const args of refused) {
    const { status, err } = await world.keyward('seal', 'leakage', ...args);
    assert.equal(status, 2);
    assert.match(err, /CLI_USAGE/);
    assert.doesNotMatch(err, /secret/);
  }
});
