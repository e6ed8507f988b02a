import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { cut } from '../demo/columns.ts';
import { type FhirCall, type FhirReply, openWorld } from '../testing.ts';

const CLINICIAN: Json = {
  resourceType: 'Patient',
  id: 'p1',
  name: [{ family: 'Testerby', given: ['Quilla'] }],
  birthDate: '1984-03-17',
};
const BILLING: Json = { resourceType: 'Patient', id: 'p1', name: [{ family: 'Testerby' }] };
const TOKEN = `kw1.${'A'.repeat(80)}`;
const sealed = { extension: [{ url: 'urn:keyward:seal', valueString: TOKEN }] };
const RECEIVED: Json = {
  resourceType: 'Patient',
  id: 'p1',
  name: [{ family: 'kwi1aaaa', _family: sealed, given: ['kwi1bbbb'], _given: [sealed] }],
  birthDate: '1984',
  _birthDate: sealed,
};
const HELD = {
  body: 'c2VhbGVk'.repeat(100),
  index: { index_blind: [{ param: 'family', token: 'kwi1aaaa' }], index_date: [] },
};

const served = ({ path, role }: FhirCall): FhirReply => {
  if (path === '/fhir/Patient?_count=1') return { body: { resourceType: 'Bundle', entry: [{ resource: CLINICIAN }] } };
  return path === '/fhir/Patient/p1' ? { body: role === 'billing' ? BILLING : CLINICIAN } : { status: 404 };
};

test('[A4] demo reveal shows two roles beside what the FHIR server received, on 100 columns', async () => {
  await using world = await openWorld();
  world.fhir = served;
  world.atRest = { ...HELD, received: RECEIVED };
  const { status, out } = await world.keyward('demo', 'reveal');
  assert.equal(status, 0);
  const row = (path: string) =>
    out
      .split('\n')
      .find((line) => line.startsWith(path))
      ?.split(/ {2,}/);
  assert.deepEqual(row('name[0].family'), ['name[0].family', 'Testerby', 'Testerby', cut(TOKEN, 22)]);
  assert.deepEqual(row('name[0].given[0]'), ['name[0].given[0]', 'Quilla', '—', cut(TOKEN, 22)]);
  assert.deepEqual(row('birthDate'), ['birthDate', '1984-03-17', '—', cut(TOKEN, 22)]);
  assert.match(out, /^body {3}c2VhbGVk.+… {2}600 bytes, sealed whole$/m);
  assert.match(out, /^index_blind\n {2}param=family, token=kwi1aaaa$/m);
  for (const line of out.split('\n')) assert.ok(line.length <= 100, line);
});

test('[A4] without the resource that was received, its column is left out', async () => {
  await using world = await openWorld();
  world.fhir = served;
  world.atRest = HELD;
  const { out } = await world.keyward('demo', 'reveal', '--patient', 'p1');
  assert.doesNotMatch(out, /FHIR server received/);
});

test('[A4] demo reveal --json gives the three views', async () => {
  await using world = await openWorld();
  world.fhir = served;
  world.atRest = HELD;
  const { out } = await world.keyward('demo', 'reveal', '--json');
  assert.deepEqual(JSON.parse(out), {
    reference: 'Patient/p1',
    clinician: CLINICIAN,
    billing: BILLING,
    database: HELD,
  });
});

test('[A4] demo reveal says what to do when there is no patient', async () => {
  await using world = await openWorld();
  world.fhir = () => ({ body: { resourceType: 'Bundle' } });
  const { status, err } = await world.keyward('demo', 'reveal');
  assert.equal(status, 1);
  assert.match(err, /^error: CLI_NO_PATIENT .+\nhint: .+demo load/);
});
