/** Overrides of what is sealed, on a running Keyward: they hold, they are searched by, and what was sealed before them still opens. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';

let upstream: RecordingUpstream;
let keyward: Product;

const FIRST = 'version: 1\nelements: { Patient.address.state: { treatment: seal, class: address } }\n';
const SECOND = 'version: 1\ntypes: { Practitioner: { sealed: true } }\n';
const PATIENT = {
  resourceType: 'Patient',
  name: [{ family: 'Quillfeather' }],
  address: [{ city: 'Boston', state: 'Massachusetts' }],
  birthDate: '1980-05-12',
};

const OBSERVATION = { resourceType: 'Observation', status: 'final', code: { coding: [{ code: '29463-7' }] } };
const PRACTITIONER = { resourceType: 'Practitioner', name: [{ family: 'Wigglesworth' }] };

before(async () => {
  upstream = await RecordingUpstream.start();
  keyward = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  writeFileSync(join(keyward.dataDir, 'first.yaml'), FIRST);
  writeFileSync(join(keyward.dataDir, 'second.yaml'), SECOND);
});
after(() => upstream.close());

/** Starts again with this overrides file and these of before. */
async function restartWith(current: string, earlier: readonly string[] = []): Promise<void> {
  const file = (name: string) => join(keyward.dataDir, name);
  await keyward.stop();
  keyward.env = {
    KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url,
    KEYWARD_SEAL_OVERRIDES_FILE: file(current),
    KEYWARD_SEAL_EARLIER_OVERRIDES_FILES: JSON.stringify(earlier.map(file)),
  };
  await keyward.start();
}

const read = (id: string) => keyward.fhir({ path: `/Patient/${id}`, role: 'clinician' });
const stateOf = async (id: string) => (await read(id)).body['address']?.[0]?.['state'] as unknown;
const created = async (json: { readonly resourceType: string; readonly [member: string]: unknown }) => {
  const { status, body } = await keyward.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return body['id'] as unknown as string;
};
const received = () => readFileSync(join(upstream.folder, 'received.txt'), 'utf8');

test('[E1] a record opens by the overrides it was sealed under: Keyward’s own, those of now, those of before; unknown ones are named', async () => {
  const old = await created(PATIENT);
  assert.match(received(), /Massachusetts/);
  await restartWith('first.yaml');
  const sentBefore = received().length;
  const own = await created(PATIENT);
  assert.doesNotMatch(received().slice(sentBefore), /Massachusetts/);
  for (const id of [old, own]) assert.equal(await stateOf(id), 'Massachusetts');

  await restartWith('second.yaml');
  assert.equal((await read(old)).status, 200);
  const unknown = await read(own);
  assert.equal(unknown.status, 502);
  assert.match(JSON.stringify(unknown.body), /GATEWAY_CATALOGUE_UNKNOWN/);

  await restartWith('second.yaml', ['first.yaml']);
  assert.equal(await stateOf(own), 'Massachusetts');
  // The Patient's seal of before proves the scope of what is written now.
  await created({ ...OBSERVATION, subject: { reference: `Patient/${own}` } });
  const sealedFrom = received().length;
  await created({ ...PRACTITIONER });
  assert.doesNotMatch(received().slice(sealedFrom), /Wigglesworth/);
});
