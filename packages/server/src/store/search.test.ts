/** Tests of search over the store's socket: each kind of parameter, its modifiers and prefixes, order and pages. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestStore, type TestStore } from './testing.ts';

let store: TestStore;

/** Of the shape of a token, as the gateway puts it where nothing is searched. */
const SEALED = `kw1.${'A'.repeat(100)}`;

const PATIENTS = [
  {
    id: 'anna',
    active: true,
    gender: 'female',
    name: [{ family: 'Müller', given: ['Anna', 'Maria'] }],
    birthDate: '1980-05-04',
    identifier: [{ system: 'urn:mrn', value: 'A,1' }, { value: 'bare' }],
    telecom: [{ system: 'phone', value: '5551' }],
    address: [{ city: 'Bonn', postalCode: '53111' }],
    managingOrganization: { reference: 'Organization/o1' },
  },
  {
    id: 'bert',
    active: false,
    gender: 'male',
    name: [{ family: 'Schmidt', given: ['Bert'] }],
    birthDate: '1980',
    identifier: [{ system: 'urn:other', value: 'A,1' }],
    managingOrganization: { reference: 'Organization/o2' },
  },
  { id: 'carl', gender: 'male', name: [{ family: 'MULLER' }], birthDate: '1990-01-01', deceasedDateTime: '2020' },
  {
    id: 'dora',
    photo: [{ title: SEALED }],
    address: [{ line: [SEALED] }],
    telecom: [{ system: 'url', value: SEALED }],
  },
];

const OBSERVATIONS = [
  {
    id: 'o-low',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: 'h' }] },
    subject: { reference: 'Patient/anna' },
    effectiveDateTime: '2021-03-01T10:00:00Z',
    valueQuantity: { value: 99.4, system: 'http://unitsofmeasure.org', code: 'cm' },
  },
  {
    id: 'o-mid',
    status: 'amended',
    code: { coding: [{ system: 'urn:local', code: 'h' }] },
    subject: { reference: 'Patient/bert' },
    effectivePeriod: { start: '2021-01-01', end: '2021-12-31' },
    valueQuantity: { value: 100.2, system: 'http://unitsofmeasure.org', code: 'cm' },
  },
  {
    id: 'o-high',
    status: 'final',
    code: { text: 'uncoded' },
    subject: { reference: 'Group/anna' },
    performer: [{ reference: 'https://elsewhere.example/Practitioner/p,1' }],
    effectiveDateTime: '2022',
    valueQuantity: { value: 180, system: 'http://unitsofmeasure.org', code: 'kg' },
  },
];

const entry = (resourceType: string) => (more: { id: string }) => ({
  request: { method: 'PUT', url: `${resourceType}/${more.id}` },
  resource: { resourceType, ...more },
});

/** A second passes with every write. */
let seconds = 0;
const clock = { now: () => new Date(Date.UTC(2024, 0, 1, 0, 0, seconds++)) };

before(async () => {
  store = await startTestStore(clock);
  const entries = [
    ...PATIENTS.map(entry('Patient')),
    ...OBSERVATIONS.map(entry('Observation')),
    ...['q1', 'q2']
      .map((id) => ({ id, questionnaire: `http://forms/${id}|1.0`, status: 'completed' }))
      .map(entry('QuestionnaireResponse')),
  ];
  const answer = await store.call('POST', '/', { resourceType: 'Bundle', type: 'transaction', entry: entries });
  assert.equal(answer.status, 200, answer.text);
});
after(() => store.stop());

interface Searchset {
  readonly total?: number;
  readonly entry: readonly { readonly resource: { readonly id: string } }[];
  readonly link: readonly { readonly relation: string; readonly url: string }[];
}
const searchset = async (path: string) => (await store.call('GET', path)).json as unknown as Searchset;
const idsOf = ({ entry: entries }: Searchset) => entries.map(({ resource }) => resource.id);

const FOUND: readonly (readonly [query: string, ids: string])[] = [
  // strings: whole values, normalised
  ['Patient?family=müller', 'anna'],
  ['Patient?family:exact=MULLER', 'carl'],
  ['Patient?family=Müll', ''],
  ['Patient?family=müller,schmidt', 'anna bert'],
  ['Patient?family=müller&given=anna', 'anna'],
  ['Patient?family=müller&given=bert', ''],
  ['Patient?given=Maria', 'anna'],
  ['Patient?name=Maria', 'anna'],
  ['Patient?name=Müller', 'anna'],
  ['Patient?address-postalcode=53111', 'anna'],
  ['Patient?address=Bonn', 'anna'],
  ['Patient?family:missing=true', 'dora'],
  ['Patient?family:missing=false', 'anna bert carl'],
  // what is sealed is there, and equals nothing
  ['Patient?address:missing=false', 'anna dora'],
  ['Patient?telecom:missing=false', 'anna dora'],
  [`Patient?address=${SEALED}`, ''],
  // tokens on identifiers and contact points
  ['Patient?identifier=urn:mrn|A\\,1', 'anna'],
  ['Patient?identifier=A\\,1', 'anna bert'],
  ['Patient?identifier=|A\\,1', ''],
  ['Patient?identifier=|bare', 'anna'],
  ['Patient?identifier=urn:other|', 'bert'],
  ['Patient?identifier:not=urn:mrn|A\\,1', 'bert carl dora'],
  ['Patient?phone=5551', 'anna'],
  ['Patient?email=5551', ''],
  // tokens on codes
  ['Patient?gender=male', 'bert carl'],
  ['Patient?gender:not=male', 'anna dora'],
  ['Patient?gender:missing=true', 'dora'],
  ['Patient?active=true', 'anna'],
  ['Patient?deceased=true', 'carl'],
  ['Observation?code=h', 'o-low o-mid'],
  ['Observation?code=http://loinc.org|h', 'o-low'],
  ['Observation?code=urn:local|', 'o-mid'],
  ['Observation?code=|h', ''],
  ['Observation?status=final,amended&code=h', 'o-low o-mid'],
  // references
  ['Observation?subject=Patient/anna', 'o-low'],
  ['Observation?subject=anna', 'o-high o-low'],
  ['Observation?subject:Group=anna', 'o-high'],
  ['Observation?patient=anna', 'o-low'],
  ['Observation?performer=https://elsewhere.example/Practitioner/p\\,1', 'o-high'],
  ['Observation?performer=https://elsewhere.example/Practitioner/p2', ''],
  ['Observation?performer:missing=true', 'o-low o-mid'],
  ['Patient?organization=Organization/o1,Organization/o2', 'anna bert'],
  ['Patient?organization:missing=true', 'carl dora'],
  ['QuestionnaireResponse?questionnaire=http://forms/q1|1.0', 'q1'],
  // dates: [start, end) against prefixes
  ['Patient?birthdate=1980', 'anna bert'],
  ['Patient?birthdate=1980-05', 'anna'],
  ['Patient?birthdate=ne1980', 'carl'],
  ['Patient?birthdate=gt1980', 'carl'],
  ['Patient?birthdate=lt1980-05-04', 'bert'],
  ['Patient?birthdate=ge1980-05-04', 'anna bert carl'],
  ['Patient?birthdate=le1980-05-04', 'anna bert'],
  ['Observation?date=sa2021-12', 'o-high'],
  ['Observation?date=eb2021-04', 'o-low'],
  ['Observation?date=2021', 'o-low o-mid'],
  ['Observation?date=ge2021-02&date=lt2022', 'o-low o-mid'],
  // quantities: equal within the precision written
  ['Observation?value-quantity=100', 'o-mid'],
  ['Observation?value-quantity=1e2', 'o-low o-mid'],
  ['Observation?value-quantity=100.0', ''],
  ['Observation?value-quantity=gt100', 'o-high o-mid'],
  ['Observation?value-quantity=le99.4', 'o-low'],
  ['Observation?value-quantity=gt1|http://unitsofmeasure.org|kg', 'o-high'],
  ['Observation?value-quantity=gt1||cm', 'o-low o-mid'],
  // every type
  ['Patient?_id=anna,dora', 'anna dora'],
  ['Patient?_lastUpdated=gt2000', 'anna bert carl dora'],
  ['Patient?_lastUpdated=lt2000', ''],
  ['Patient', 'anna bert carl dora'],
];

for (const [query, ids] of FOUND) {
  test(`[E7] ${query} finds ${ids || 'nothing'}`, async () => {
    const answer = await store.call('GET', `/${encodeURI(query)}`);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(
      idsOf(answer.json as unknown as Searchset)
        .sort()
        .join(' '),
      ids,
    );
  });
}

const REFUSED = [
  'Patient?shoe-size=44',
  'Patient?family:contains=ull',
  'Patient?family:phonetic=mueller',
  'Patient?phonetic=mueller',
  'Patient?identifier:of-type=a|b|c',
  'Patient?_elements=name',
  'Patient?_content=x',
  'Patient?constructor=x',
  'Patient?birthdate=ap1980',
  'Patient?birthdate=soon',
  'Patient?birthdate=1980,',
  'Patient?family=',
  'Patient?family:missing=perhaps',
  'Patient?identifier=a|b|c',
  'Patient?identifier=|',
  'Observation?value-quantity=many',
  'Observation?subject=urn:uuid:1',
  'Observation?subject:Group=Patient/anna',
  'Patient?_count=-1',
  'Patient?_count=x',
  'Patient?_offset=1',
  'Patient?_after=anna,bert',
  'Patient?_sort=birthdate&_after=anna',
  'Patient?_sort=birthdate&_after=yesterday,anna',
  'Patient?_after=%00',
  `Patient?_id=${Array.from({ length: 501 }, (_, n) => n).join(',')}`,
  `Patient?_sort=${Array.from({ length: 501 }, () => 'birthdate').join(',')}`,
  `Patient?${Array.from({ length: 51 }, (_, n) => `_id=${n}`).join('&')}`,
  'Patient?_sort=family',
  'Patient?_total=estimate',
  'Patient?_summary=true',
  'Observation?code=%00',
  'Patient?identifier=%00|x',
  'Patient?_id=%00',
  `Observation?code=${'x'.repeat(1001)}`,
  'Patient?_format=xml',
];

for (const query of REFUSED) {
  test(`[E7] ${query.slice(0, 60)} is refused, not ignored`, async () => {
    assert.equal((await store.call('GET', `/${query}`)).status, 400);
  });
}

test('[E7] parameters of a _search stand in the body, besides those in the address', async () => {
  const answer = await store.call('POST', '/Patient/_search?gender=male', 'family=schmidt');
  assert.deepEqual(idsOf(answer.json as unknown as Searchset), ['bert']);
  assert.equal((await store.call('POST', '/Patient/_search', 'shoe-size=44')).status, 400);
});

const SORTED = [
  ['Patient?_sort=birthdate', 'bert anna carl dora'],
  ['Patient?_sort=-birthdate', 'carl bert anna dora'],
  ['Patient?_sort=-_id', 'dora carl bert anna'],
  ['Patient?_sort=-_lastUpdated', 'dora carl bert anna'],
  ['Patient?_sort=_lastUpdated', 'anna bert carl dora'],
] as const;

for (const [query, ids] of SORTED) {
  test(`[E7] ${query} comes as ${ids}`, async () => assert.equal(idsOf(await searchset(`/${query}`)).join(' '), ids));
}

const nextOf = ({ link }: Searchset): string | undefined =>
  link.find(({ relation }) => relation === 'next')?.url.replace('http://store', '');

/** Ids of every page, one list for each. */
async function pagesFrom(path: string, betweenPages = async (): Promise<unknown> => undefined): Promise<string[][]> {
  const pages: string[][] = [];
  for (let at: string | undefined = path; at; await betweenPages()) {
    const page: Searchset = await searchset(at);
    pages.push(idsOf(page));
    at = nextOf(page);
  }
  return pages;
}

const PAGED = [
  ['Patient?_count=2&gender:missing=false', [['anna', 'bert'], ['carl']]],
  ['Patient?_count=2&gender:missing=false&_sort=-_id', [['carl', 'bert'], ['anna']]],
  ['Patient?_count=1&_sort=birthdate', [['bert'], ['anna'], ['carl'], ['dora']]],
  ['Patient?_count=1&_sort=-birthdate', [['carl'], ['bert'], ['anna'], ['dora']]],
  ['Patient?_count=3&_sort=-_lastUpdated', [['dora', 'carl', 'bert'], ['anna']]],
  ['Patient?_count=1&_sort=death-date,-birthdate', [['carl'], ['bert'], ['anna'], ['dora']]],
  [
    'Patient?_count=2&_sort=-death-date,birthdate,_id',
    [
      ['carl', 'bert'],
      ['anna', 'dora'],
    ],
  ],
  ['Patient?_count=4', [['anna', 'bert', 'carl', 'dora']]],
] as const;

for (const [query, pages] of PAGED) {
  test(`[E7] the pages of ${query} follow each other without gaps or repeats`, async () => {
    assert.deepEqual(await pagesFrom(`/${query}`), pages);
  });
}

for (const order of ['', '&_sort=_id', '&_sort=-_lastUpdated', '&_sort=_lastUpdated,_id']) {
  test(`[E7] pages${order} hold every record once, however many were written at the same instant`, async () => {
    const answer = await store.call('POST', '/', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: Array.from({ length: 30 }, (_, n) => entry('Basic')({ id: `same-${n}` })),
    });
    assert.equal(answer.status, 200);
    await store.pool.query("UPDATE resource SET last_updated = '2024-05-05' WHERE type = 'Basic' AND id < 'same-2'");
    const pages = await pagesFrom(`/Basic?_count=7${order}`);
    assert.deepEqual(
      pages.map(({ length }) => length),
      [7, 7, 7, 7, 2],
    );
    assert.equal(new Set(pages.flat()).size, 30);
  });
}

test('[E7] a record that is written between two pages moves no other', async () => {
  for (const id of ['d1', 'd2', 'd3']) await store.call('PUT', `/Device/${id}`, { resourceType: 'Device', id });
  const rewrite = () => store.call('PUT', '/Device/d1', { resourceType: 'Device', id: 'd1' });
  assert.deepEqual((await pagesFrom('/Device?_count=1', rewrite)).flat(), ['d1', 'd2', 'd3']);
});

test('[E7] a page ends before its bodies outgrow one answer, and leads on', async () => {
  const data = 'A'.repeat(9 * 1024 * 1024);
  for (const id of ['b1', 'b2'])
    await store.call('PUT', `/Binary/${id}`, { resourceType: 'Binary', id, contentType: 'a/b', data });
  await store.call('PUT', '/Binary/b2', { resourceType: 'Binary', id: 'b2', contentType: 'a/b', data });
  for (const path of ['/Binary', '/Binary?_sort=_id']) assert.deepEqual(await pagesFrom(path), [['b1'], ['b2']]);
  const newest = await searchset('/Binary/b2/_history');
  const oldest = await searchset(nextOf(newest) ?? '');
  assert.deepEqual([newest.entry.length, oldest.entry.length, nextOf(oldest)], [1, 1, undefined]);
});

test('[E7] one body beyond the budget of a page is a page of its own', async () => {
  const data = 'A'.repeat(17 * 1024 * 1024);
  await store.call('PUT', '/Media/m1', { resourceType: 'Media', id: 'm1', content: { data } });
  await store.call('PUT', '/Media/m2', { resourceType: 'Media', id: 'm2' });
  assert.deepEqual(await pagesFrom('/Media'), [['m1'], ['m2']]);
  assert.equal((await searchset('/Media/m1/_history')).entry.length, 1);
});

test('[E7] a total is counted when asked for, over all pages', async () => {
  assert.equal((await searchset('/Patient?_count=1&_total=accurate')).total, 4);
  assert.equal((await searchset('/Patient?_count=1')).total, undefined);
  const summary = await searchset('/Patient?_summary=count&gender=male');
  assert.deepEqual([summary.total, summary.entry.length], [2, 0]);
});

test('[E7] after an update only the new values are found', async () => {
  const write = (family: string) =>
    store.call('PUT', '/Person/renamed', { resourceType: 'Person', id: 'renamed', name: [{ family }] });
  await write('Before');
  await write('After');
  assert.deepEqual(idsOf(await searchset('/Person?name=Before')), []);
  assert.deepEqual(idsOf(await searchset('/Person?name=After')), ['renamed']);
});
