/** What may be written: valid R4 that satisfies the configured profiles. What is refused never reaches the FHIR server. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, type Body, type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';
import { assertRefused } from '../support/refused-start.ts';

const PROFILE = 'http://example.com/StructureDefinition/named-patient';
const VALUE = 'Zebrafinch';

const named = {
  resourceType: 'StructureDefinition',
  url: PROFILE,
  kind: 'resource',
  derivation: 'constraint',
  type: 'Patient',
  snapshot: {
    element: [
      { id: 'Patient', path: 'Patient', min: 0, max: '*' },
      { id: 'Patient.name', path: 'Patient.name', min: 1, max: '*' },
      { id: 'Patient.name.family', path: 'Patient.name.family', min: 1, max: '1' },
    ],
  },
};

let folder: string;
let upstream: RecordingUpstream;
let product: Product;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyward-profiles-'));
  writeFileSync(join(folder, 'named-patient.json'), JSON.stringify(named));
  upstream = await RecordingUpstream.start();
  product = await startProduct({
    env: {
      KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url,
      KEYWARD_GATEWAY_PROFILES: JSON.stringify([{ files: [folder], appliesTo: 'declared' }]),
    },
  });
});
after(() => {
  upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

const write = (path: string, json: unknown): Promise<Answer> => product.fhir({ path, json, role: 'clinician' });

interface Refused {
  readonly issue: readonly {
    readonly details: { readonly coding: readonly { readonly code: string }[] };
    readonly diagnostics: string;
  }[];
}

function assertTold(outcome: Body, code: string, diagnostics: RegExp): void {
  const { issue } = outcome as unknown as Refused;
  assert.equal(issue[0]?.details.coding[0]?.code, code);
  assert.match(issue[0]?.diagnostics ?? '', diagnostics);
  assert.doesNotMatch(JSON.stringify(outcome), new RegExp(VALUE));
}

/** Whatever the work sends, nothing of it reaches the upstream as a write. */
async function withoutWrites<T>(work: () => Promise<T>): Promise<T> {
  const writes = () => (readReceived().match(/^(POST|PUT|PATCH) /gm) ?? []).length;
  const soFar = writes();
  const result = await work();
  assert.equal(writes(), soFar);
  return result;
}

const readReceived = (): string => {
  try {
    return readFileSync(join(upstream.folder, 'received.txt'), 'utf8');
  } catch {
    return '';
  }
};

const patient = (members: object) => ({ resourceType: 'Patient', ...members });
const declared = { meta: { profile: [PROFILE] } };

test('[A5] a resource that is no valid R4 is refused with every place named, and goes nowhere', async () => {
  const { status, body } = await withoutWrites(() =>
    write(
      '/Patient',
      patient({ gender: VALUE, deceasedBoolean: true, deceasedDateTime: '2020', link: [{ type: 'seealso' }] }),
    ),
  );
  assert.equal(status, 400);
  assertTold(
    body,
    'FHIR_RESOURCE_INVALID',
    /^Patient\.gender must be a code of administrative-gender\. Patient\.deceased\[x\] must have one type only\. Patient\.link\[0\]\.other must be there\./,
  );
});

test('[A5] a resource that does not satisfy the profile it declares is refused, and accepted when it does', async () => {
  const { status, body } = await withoutWrites(() =>
    write('/Patient', patient({ ...declared, name: [{ given: [VALUE] }] })),
  );
  assert.equal(status, 422);
  assertTold(
    body,
    'FHIR_PROFILE_VIOLATED',
    /^Patient\.name\[0\]\.family must be there \(http:\/\/example\.com\/StructureDefinition\/named-patient\)\./,
  );
  assert.equal((await write('/Patient', patient({ ...declared, name: [{ family: VALUE }] }))).status, 201);
  assert.equal((await write('/Patient', patient({ name: [{ given: [VALUE] }] }))).status, 201);
});

test('[A5] what a patch would make of a record is validated as it would be written', async () => {
  const created = await write('/Patient', patient({ name: [{ family: VALUE }] }));
  const id = (created.body as unknown as { id: string }).id;
  const { status, body } = await withoutWrites(() =>
    product.fhir({
      method: 'PATCH',
      path: `/Patient/${id}`,
      role: 'clinician',
      raw: JSON.stringify([{ op: 'add', path: '/gender', value: VALUE }]),
      headers: { 'content-type': 'application/json-patch+json' },
    }),
  );
  assert.equal(status, 400);
  assertTold(body, 'FHIR_RESOURCE_INVALID', /^Patient\.gender must be a code of administrative-gender\./);
});

const entry = (resource: object, fullUrl?: string) => ({
  ...(fullUrl === undefined ? {} : { fullUrl }),
  resource,
  request: { method: 'POST', url: (resource as { resourceType: string }).resourceType },
});
const bundle = (type: string, ...entries: readonly object[]) => ({ resourceType: 'Bundle', type, entry: entries });

test('[A5] in a batch only the entry that is not valid is refused', async () => {
  const { status, body } = await write(
    '',
    bundle('batch', entry(patient({ gender: VALUE })), entry(patient({ gender: 'female' }))),
  );
  assert.equal(status, 200);
  const [refused, created] = body['entry'] as unknown as { response: { status: string; outcome: Body } }[];
  assert.deepEqual([refused?.response.status, created?.response.status.slice(0, 3)], ['400', '201']);
  assertTold(refused?.response.outcome as Body, 'FHIR_RESOURCE_INVALID', /^Patient\.gender must be a code/);
});

test('[A5] a transaction is refused as a whole, and the entries that are not valid are named', async () => {
  const name = 'urn:uuid:0d3e9a52-4d8b-4f0f-8c87-5d0e7f5c2a11';
  const report = {
    resourceType: 'Observation',
    status: 'final',
    code: { text: VALUE },
    performer: [{ reference: name }],
  };
  const location = { resourceType: 'Location', name: VALUE };
  const { status, body } = await withoutWrites(() =>
    write('', bundle('transaction', entry(patient({ gender: VALUE })), entry(location, name), entry(report))),
  );
  assert.equal(status, 400);
  assertTold(
    body,
    'FHIR_RESOURCE_INVALID',
    /^Entry 0: Patient\.gender must be a code of administrative-gender\. Entry 2: Observation\.performer\[0\] must refer to /,
  );
});

test('[A5] a profile that cannot be checked keeps the gateway from starting, by name', async () => {
  const file = join(folder, 'broken.json');
  writeFileSync(file, JSON.stringify({ ...named, snapshot: undefined }));
  const dataDir = mkdtempSync(join(tmpdir(), 'keyward-refused-'));
  await assertRefused({
    dataDir,
    env: { KEYWARD_GATEWAY_PROFILES: JSON.stringify([{ files: [file], appliesTo: 'Patient' }]) },
    code: 'FHIR_PROFILE_UNUSABLE',
    names: /named-patient: it has no snapshot/,
  });
  rmSync(dataDir, { recursive: true, force: true });
});
