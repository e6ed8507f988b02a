import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { type FhirCall, type FhirReply, openWorld, type World } from '../testing.ts';

const HOSPITAL_URN = 'urn:uuid:11111111-1111-4111-8111-111111111111';
const PATIENT_URN = 'urn:uuid:22222222-2222-4222-8222-222222222222';

const post = (fullUrl: string, resource: Record<string, Json>): Json => ({
  fullUrl,
  resource,
  request: { method: 'POST', url: resource['resourceType'] as string },
});
const bundle = (type: string, entry: Json[]): Json => ({ resourceType: 'Bundle', type, entry });

const HOSPITAL = bundle('transaction', [post(HOSPITAL_URN, { resourceType: 'Organization', name: 'H' })]);
const PATIENT = bundle('transaction', [
  post(PATIENT_URN, { resourceType: 'Patient', managingOrganization: { reference: HOSPITAL_URN } }),
  post('urn:uuid:33333333-3333-4333-8333-333333333333', { resourceType: 'Claim', patient: { reference: PATIENT_URN } }),
]);

/** Assigns `Type/a1`, `Type/a2`, … to whatever is posted, and keeps the calls. */
function assigning(): { calls: FhirCall[]; fhir: (call: FhirCall) => FhirReply } {
  const calls: FhirCall[] = [];
  let assigned = 0;
  const locate = (type: string) => `https://localhost/fhir/${type}/a${++assigned}/_history/1`;
  const fhir = (call: FhirCall): FhirReply => {
    calls.push(call);
    const body = JSON.parse(call.body) as { resourceType: string; entry?: { request: { url: string } }[] };
    if (!body.entry) return { status: 201, headers: { location: locate(body.resourceType) }, body: {} };
    const entry = body.entry.map(({ request }) => ({
      response: { status: '201 Created', location: locate(request.url) },
    }));
    return { body: { resourceType: 'Bundle', type: 'transaction-response', entry } };
  };
  return { calls, fhir };
}

function writeFiles(world: World, files: Record<string, Json | string>): string {
  const folder = join(world.directory, 'input');
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

test('[S1] demo load posts hospitals first, and later files refer to what the server assigned', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = fhir;
  const folder = writeFiles(world, { 'a-patient.json': PATIENT, 'hospitalMain.json': HOSPITAL });
  const { status, out } = await world.keyward('demo', 'load', folder);
  assert.equal(status, 0);
  assert.deepEqual(
    calls.map(({ method, path, role }) => [method, path, role]),
    [
      ['POST', '/fhir', 'clinician'],
      ['POST', '/fhir', 'clinician'],
    ],
  );
  assert.match(calls[1]?.body ?? '', /"managingOrganization":\{"reference":"Organization\/a1"\}/);
  assert.match(calls[1]?.body ?? '', new RegExp(`"patient":\\{"reference":"${PATIENT_URN}"\\}`));
  assert.match(
    out,
    /^\[1\/2\] hospitalMain\.json: 1 resources\n\[2\/2\] a-patient\.json: 2 resources\n2 files, 3 resources in \d+\.\d s\n$/,
  );
});

test('[S1] a second demo load posts only what was not acknowledged; --again posts everything', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = fhir;
  const folder = writeFiles(world, { 'hospital.json': HOSPITAL });
  await world.keyward('demo', 'load', folder);
  writeFiles(world, { 'patient.json': PATIENT });
  const second = await world.keyward('demo', 'load', folder, '--json');
  const summary = JSON.parse(second.out) as Record<string, unknown>;
  assert.deepEqual([summary['files'], summary['resources'], summary['skipped']], [1, 2, 1]);
  assert.match(calls[1]?.body ?? '', /Organization\/a1/);
  await world.keyward('demo', 'load', folder, '--again');
  assert.equal(calls.length, 4);
});

test('[S1] Ctrl-C lets the request under way end; the next run goes on behind it', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = (call) => {
    if (calls.length === 0) world.interrupt();
    return fhir(call);
  };
  const folder = writeFiles(world, { 'hospital.json': HOSPITAL, 'patient.json': PATIENT });
  const { status, err } = await world.keyward('demo', 'load', folder);
  assert.equal(status, 130);
  assert.match(err, /^error: CLI_INTERRUPTED /);
  assert.equal(calls.length, 1);
  assert.equal((await world.keyward('demo', 'load', folder)).status, 0);
  assert.equal(calls.length, 2);
});

test('[S1] a journal line that a crash cut short is no acknowledgement', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = fhir;
  const folder = writeFiles(world, { 'hospital.json': HOSPITAL });
  await world.keyward('demo', 'load', folder);
  const journal = join(world.paths.run, 'demo-load.jsonl');
  const line = readFileSync(journal, 'utf8');
  writeFileSync(journal, line.slice(0, -1));
  await world.keyward('demo', 'load', folder);
  assert.equal(calls.length, 2);
  appendFileSync(journal, 'not a line of ours\n');
  await world.keyward('demo', 'load', folder);
  assert.equal(calls.length, 2);
});

test('[P2] the journal holds no file name and nothing of a resource', async () => {
  await using world = await openWorld();
  world.fhir = assigning().fhir;
  const resource = { resourceType: 'Patient', name: [{ family: 'Testerby' }] };
  await world.keyward('demo', 'load', writeFiles(world, { 'Quilla_Testerby.json': resource }));
  assert.doesNotMatch(readFileSync(join(world.paths.run, 'demo-load.jsonl'), 'utf8'), /Testerby/);
});

test('[S1] single resources are created, and numbers keep their digits', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = fhir;
  const observation = '{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50}}';
  await world.keyward('demo', 'load', writeFiles(world, { 'one.json': observation }));
  assert.deepEqual(
    calls.map(({ path, body }) => [path, body]),
    [['/fhir/Observation', observation]],
  );
});

test('[S1] a collection becomes a transaction whose references resolve', async () => {
  await using world = await openWorld();
  const { calls, fhir } = assigning();
  world.fhir = fhir;
  const collection = bundle('collection', [
    { resource: { resourceType: 'Patient', id: 'p' } },
    {
      fullUrl: 'https://old.example.org/Claim/c',
      resource: { resourceType: 'Claim', id: 'c', patient: { reference: 'Patient/p' } },
    },
  ]);
  await world.keyward('demo', 'load', writeFiles(world, { 'all.json': collection }));
  const sent = JSON.parse(calls[0]?.body ?? '') as {
    type: string;
    entry: { fullUrl: string; resource: Record<string, unknown>; request: unknown }[];
  };
  assert.equal(sent.type, 'transaction');
  assert.deepEqual(
    sent.entry.map(({ request }) => request),
    [
      { method: 'POST', url: 'Patient' },
      { method: 'POST', url: 'Claim' },
    ],
  );
  assert.deepEqual(sent.entry[1]?.resource, { resourceType: 'Claim', patient: { reference: sent.entry[0]?.fullUrl } });
});

test('[S1] a refused file is named with code and hint, the others are loaded, the status is not zero', async () => {
  await using world = await openWorld();
  const { fhir } = assigning();
  const coding = [{ system: 'urn:keyward:error', code: 'FHIR_RESOURCE_INVALID' }];
  const outcome = {
    resourceType: 'OperationOutcome',
    issue: [{ details: { coding }, diagnostics: 'Send an object.' }],
  };
  world.fhir = (call) => (call.path === '/fhir/Basic' ? { status: 400, body: outcome } : fhir(call));
  const folder = writeFiles(world, {
    'bad.json': { resourceType: 'Basic' },
    'broken.json': '{"resourceType":',
    'document.json': bundle('document', []),
    'good.json': HOSPITAL,
  });
  const { status, out, err } = await world.keyward('demo', 'load', folder);
  assert.equal(status, 1);
  assert.match(out, /^failed bad\.json: FHIR_RESOURCE_INVALID\n {7}Send an object\.$/m);
  assert.match(out, /^failed broken\.json: JSON_MALFORMED$/m);
  assert.match(out, /^failed document\.json: CLI_INPUT\n {7}only bundles of type transaction, batch, collection/m);
  assert.match(out, /^1 files, 1 resources/m);
  assert.match(err, /^error: CLI_REQUEST_FAILED /);
});

test('[S1] a batch with a refused entry is a failed file', async () => {
  await using world = await openWorld();
  const entry = [
    { response: { status: '201' } },
    { response: { status: '422', outcome: { resourceType: 'OperationOutcome', issue: [] } } },
  ];
  world.fhir = () => ({ body: { resourceType: 'Bundle', type: 'batch-response', entry } });
  const { status, out } = await world.keyward('demo', 'load', writeFiles(world, { 'b.json': bundle('batch', []) }));
  assert.equal(status, 1);
  assert.match(out, /^failed b\.json: HTTP 422$/m);
});

test('[S1] without a path, the ten synthetic patients of the project are loaded', async () => {
  await using world = await openWorld();
  world.fhir = assigning().fhir;
  const { out } = await world.keyward('demo', 'load', '--json');
  const summary = JSON.parse(out) as { files: number; resources: number };
  assert.equal(summary.files, 12);
  assert.ok(summary.resources > 100);
});

test('[S1] demo load says so when a path is not there, and when nothing runs', async () => {
  await using world = await openWorld({ running: false });
  const missing = await world.keyward('demo', 'load', join(world.directory, 'nowhere'));
  assert.equal(missing.status, 2);
  assert.match(missing.err, /^error: CLI_INPUT .+nowhere\)\n/);
  const { status, err } = await world.keyward('demo', 'load');
  assert.equal(status, 3);
  assert.match(err, /^error: CLI_NOT_READY /);
});

test('[T1] a certificate of another CA is refused', async () => {
  await using world = await openWorld();
  await using other = await openWorld();
  writeFileSync(world.paths.caCertificate, readFileSync(other.paths.caCertificate));
  const { status, err } = await world.keyward('demo', 'load');
  assert.equal(status, 3);
  assert.match(
    err,
    /^error: CLI_NOT_READY .+no answer from https:\/\/localhost:\d+: .*(SELF_SIGNED|UNABLE|SIGNATURE|ISSUER)/,
  );
});
