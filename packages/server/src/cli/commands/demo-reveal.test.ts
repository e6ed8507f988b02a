import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { cut } from '../demo/columns.ts';
import { type FhirCall, type FhirReply, openWorld } from '../testing.ts';

const CLINICIAN: Json = {
  resourceType: 'Patient',
  id: 'p1',
  gender: 'female',
  name: [{ use: 'official', family: 'Testerby', given: ['Quilla'] }],
  birthDate: '1984-03-17',
  contact: [{ name: { text: 'Testerby, Orla' } }],
};
const BILLING: Json = { resourceType: 'Patient', id: 'p1', name: [{ family: 'Testerby' }] };
const TOKEN = `kw1.${'A'.repeat(80)}`;
const sealed = { extension: [{ url: null, valueString: TOKEN }] };
/** What is neither token nor blind index is null. */
const RECEIVED: Json = {
  resourceType: null,
  id: null,
  gender: null,
  name: [{ use: null, family: 'kwi1aaaa', _family: sealed, given: ['kwi1bbbb'], _given: [sealed] }],
  birthDate: null,
  _birthDate: sealed,
  contact: [{ name: { text: TOKEN } }],
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
  assert.deepEqual(row('contact[0].name.text'), ['contact[0].name.text', 'Testerby, Orla', '—', cut(TOKEN, 22)]);
  assert.match(out, /^body {3}c2VhbGVk.+… {2}600 bytes, sealed whole$/m);
  assert.match(out, /^index_blind\n {2}param=family, token=kwi1aaaa$/m);
  for (const line of out.split('\n')) assert.ok(line.length <= 100, line);
});

test('[A4] demo reveal shows only elements that the FHIR server received as tokens', async () => {
  await using world = await openWorld();
  world.fhir = served;
  world.atRest = { ...HELD, received: RECEIVED };
  const { out } = await world.keyward('demo', 'reveal');
  const [table = ''] = out.split('\n\nThe same as');
  assert.deepEqual(
    table.split('\n').flatMap((line) => (line.includes('kw1.') ? [line.split(' ')[0]] : [])),
    ['name[0].family', 'name[0].given[0]', 'birthDate', 'contact[0].name.text'],
  );
  assert.equal(table.trimEnd().split('\n').length, 4 + 4);
  assert.doesNotMatch(out, /gender|official|resourceType/);
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
  world.atRest = { ...HELD, received: RECEIVED };
  const { out } = await world.keyward('demo', 'reveal', '--json');
  assert.deepEqual(JSON.parse(out), {
    reference: 'Patient/p1',
    clinician: CLINICIAN,
    billing: BILLING,
    database: { ...HELD, received: RECEIVED },
  });
});

test('[A4] demo reveal says what to do when there is no patient', async () => {
  await using world = await openWorld();
  world.fhir = () => ({ body: { resourceType: 'Bundle' } });
  const { status, err } = await world.keyward('demo', 'reveal');
  assert.equal(status, 1);
  assert.match(err, /^error: CLI_NO_PATIENT .+\nhint: .+demo load/);
});
