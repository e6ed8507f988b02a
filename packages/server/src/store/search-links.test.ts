/** Tests of what a search follows from one resource to others: chains, `_has`, inclusions and `$everything`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestStore, type TestStore } from './testing.ts';

let store: TestStore;

/** What the gateway puts in the place of a name. */
const BLIND = `kwi1${'a'.repeat(26)}`;

const LINKED: readonly (readonly [path: string, more: object])[] = [
  ['Organization/clinic', { name: 'Général Hospital', partOf: { reference: 'Organization/trust' } }],
  ['Organization/trust', { name: 'Health Trust', partOf: { reference: 'Organization/nation' } }],
  ['Organization/nation', { name: 'Nation' }],
  ['Organization/loop', { name: 'Loop', partOf: { reference: 'Organization/loop' } }],
  ['Practitioner/house', { name: [{ family: 'Weiß', given: ['Zoë', 'O’Neil'] }] }],
  ['PractitionerRole/role', { practitioner: { reference: 'Practitioner/house' } }],
  [
    'Patient/anna',
    {
      name: [{ family: BLIND }],
      gender: 'female',
      identifier: [{ system: 'urn:mrn', value: 'kwi1b' }],
      managingOrganization: { reference: 'Organization/clinic' },
      link: [{ other: { reference: 'Patient/bert' }, type: 'seealso' }],
    },
  ],
  ['Patient/bert', { gender: 'male', generalPractitioner: [{ reference: 'Practitioner/house' }] }],
  ['Patient/cleo', { gender: 'female' }],
  ['Group/all', { type: 'person', actual: true, member: [{ entity: { reference: 'Patient/bert' } }] }],
  ['Encounter/visit', { status: 'finished', subject: { reference: 'Patient/anna' } }],
  [
    'Observation/pulse',
    {
      status: 'final',
      code: { coding: [{ code: 'pulse' }] },
      subject: { reference: 'Patient/anna' },
      encounter: { reference: 'Encounter/visit' },
      performer: [{ reference: 'Practitioner/house' }, { reference: 'PractitionerRole/role' }],
    },
  ],
  [
    'Observation/panel',
    {
      status: 'final',
      code: { coding: [{ code: 'panel' }] },
      subject: { reference: 'Patient/anna' },
      hasMember: [{ reference: 'Observation/pulse' }],
    },
  ],
  ['Observation/other', { status: 'final', code: { text: 'x' }, subject: { reference: 'Patient/bert' } }],
  ['Provenance/of-pulse', { target: [{ reference: 'Observation/pulse' }] }],
  ['Condition/gone', { subject: { reference: 'Patient/anna' } }],
  ['QuestionnaireResponse/answers', { questionnaire: 'http://forms/q1', subject: { reference: 'Patient/cleo' } }],
];

const resourceOf = (path: string, more: object) => {
  const [resourceType = '', id = ''] = path.split('/');
  return { resourceType, id, ...more };
};

const transaction = async (writes: readonly (readonly [path: string, more: object])[]) => {
  const entry = writes.map(([path, more]) => ({
    request: { method: 'PUT', url: path },
    resource: resourceOf(path, more),
  }));
  const answer = await store.call('POST', '/', { resourceType: 'Bundle', type: 'transaction', entry });
  assert.equal(answer.status, 200, answer.text);
};

before(async () => {
  store = await startTestStore();
  await transaction(LINKED);
  await store.call('DELETE', '/Condition/gone');
  await store.call('DELETE', '/Organization/nation');
});
after(() => store.stop());

interface Searchset {
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry: readonly {
    readonly fullUrl: string;
    readonly search: { readonly mode: string };
    readonly resource: { readonly resourceType: string; readonly id: string };
  }[];
}

/** @param query as written by a person, or an encoded link */
async function searchset(query: string, body?: unknown): Promise<Searchset> {
  const answer = await store.call(
    body === undefined ? 'GET' : 'POST',
    `/${query.includes('%') ? query : encodeURI(query)}`,
    body,
  );
  assert.equal(answer.status, 200, answer.text);
  return answer.json as unknown as Searchset;
}

const nextOf = ({ link }: Searchset): string | undefined =>
  link.find(({ relation }) => relation === 'next')?.url.replace('http://store/', '');

const ofMode = ({ entry }: Searchset, mode: string): string =>
  entry
    .filter(({ search }) => search.mode === mode)
    .map(({ fullUrl }) => fullUrl.replace('http://store/', ''))
    .sort()
    .join(' ');

const FOUND = [
  // chains
  ['Observation?subject:Patient.identifier=urn:mrn|kwi1b', 'Observation/panel Observation/pulse'],
  ['Observation?patient.gender=male', 'Observation/other'],
  ['Observation?patient.gender:not=male', 'Observation/panel Observation/pulse'],
  ['Observation?patient._id=anna&code=pulse', 'Observation/pulse'],
  ['Observation?patient.organization.name=general', 'Observation/panel Observation/pulse'],
  ['Observation?patient.organization.partof.name=health', 'Observation/panel Observation/pulse'],
  [`Observation?subject:Patient.family=${BLIND}`, 'Observation/panel Observation/pulse'],
  ['Observation?subject:Group.identifier=x', ''],
  ['Patient?general-practitioner.name=weiss', 'Patient/bert'],
  ['Organization?partof.partof.name:missing=false', 'Organization/loop'],
  ['Patient?link.gender=male', 'Patient/anna'],
  // _has
  ['Patient?_has:Observation:patient:code=pulse', 'Patient/anna'],
  ['Patient?_has:Group:member:_id=all', 'Patient/bert'],
  ['Patient?_has:Observation:patient:_has:Provenance:target:_lastUpdated=gt2000', 'Patient/anna'],
  ['Organization?_has:Patient:organization:_has:Encounter:patient:status=finished', 'Organization/clinic'],
  ['Patient?_has:Observation:patient:performer:Practitioner.family=weiss', 'Patient/anna'],
  ['Observation?patient._has:Group:member:actual=true', 'Observation/other'],
  ['Patient?_has:Condition:patient:_id=gone', ''],
  // texts of types that are not sealed: their beginnings, without case and accents
  ['Organization?name=gen', 'Organization/clinic'],
  ['Organization?name=GÉNÉRAL  hosp', 'Organization/clinic'],
  ['Organization?name=hospital', ''],
  ['Organization?name=general hospital,health', 'Organization/clinic Organization/trust'],
  ['Organization?name:exact=Général Hospital', 'Organization/clinic'],
  ['Organization?name:exact=General Hospital', ''],
  ['Organization?name:exact=Général', ''],
  ['Practitioner?name=zoe', 'Practitioner/house'],
  ['Practitioner?given=o’n', 'Practitioner/house'],
  ['Practitioner?family=WEIS', 'Practitioner/house'],
  // texts of sealed types: whole
  [`Patient?family=${BLIND}`, 'Patient/anna'],
  [`Patient?family:exact=${BLIND}`, 'Patient/anna'],
  [`Patient?family=${BLIND.slice(0, -1)}`, ''],
] as const;

for (const [query, paths] of FOUND) {
  test(`[E7] ${query} finds ${paths || 'nothing'}`, async () =>
    assert.equal(ofMode(await searchset(query), 'match'), paths));
}

const INCLUDED = [
  ['Observation?code=pulse&_include=Observation:subject', 'Patient/anna'],
  ['Observation?code=pulse&_include=Observation:subject:Group', ''],
  ['Observation?code=pulse&_include=Observation:performer:Practitioner', 'Practitioner/house'],
  ['Observation?code=pulse&_include=Observation:performer', 'Practitioner/house PractitionerRole/role'],
  ['Observation?_include=Observation:has-member', ''],
  [
    'Observation?code=pulse&_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof',
    'Organization/clinic Organization/trust Patient/anna',
  ],
  ['Organization?_id=loop&_include:iterate=Organization:partof', ''],
  ['Patient?_id=anna&_revinclude=Observation:patient', 'Observation/panel Observation/pulse'],
  ['Patient?_id=cleo&_revinclude=Observation:patient', ''],
  ['Patient?_id=anna&_revinclude=Condition:patient', ''],
  [
    'Patient?_id=anna&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target',
    'Observation/panel Observation/pulse Provenance/of-pulse',
  ],
  ['Patient?_id=anna,bert&_count=1&_revinclude=Observation:patient', 'Observation/panel Observation/pulse'],
] as const;

for (const [query, paths] of INCLUDED) {
  test(`[E7] ${query} brings ${paths || 'nothing'} along`, async () =>
    assert.equal(ofMode(await searchset(query), 'include'), paths));
}

test('[E7] every page brings what its own matches refer to, and matches alone are counted', async () => {
  const first = await searchset('Observation?_count=1&_sort=-_id&_include=Observation:performer');
  const answer = await store.call('GET', '/Observation?_count=1&_total=accurate&_include=Observation:performer');
  assert.equal(answer.json['total'], 3);
  assert.equal(ofMode(first, 'include'), 'Practitioner/house PractitionerRole/role');
  const second = await searchset(nextOf(first) ?? '');
  assert.deepEqual([ofMode(second, 'match'), ofMode(second, 'include')], ['Observation/panel', '']);
});

test('[E7] more inclusions than a page has room for, in number or in depth, are an error, not a page with holes', async () => {
  const many = Array.from(
    { length: 1001 },
    (_, n) => [`Flag/f${n}`, { subject: { reference: 'Location/l' } }] as const,
  );
  const deep = Array.from(
    { length: 12 },
    (_, n) => [`Location/d${n}`, { partOf: { reference: `Location/d${n + 1}` } }] as const,
  );
  await transaction([['Location/l', {}], ...many, ...deep]);
  for (const query of ['_id=l&_revinclude=Flag:subject', '_id=d0&_include:iterate=Location:partof']) {
    const answer = await store.call('GET', `/Location?${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(answer.text, /FHIR_INCLUDES_TOO_MANY/);
  }
  assert.equal(
    ofMode(await searchset('Location?_id=d9&_include:iterate=Location:partof'), 'include'),
    'Location/d10 Location/d11',
  );
});

test('[E7] a page holds up to 1,000 matches, and the next one the rest', async () => {
  const first = await searchset('Flag?_count=5000&_sort=-_lastUpdated');
  const rest = await searchset(nextOf(first) ?? '');
  assert.deepEqual([first.entry.length, rest.entry.length, nextOf(rest)], [1000, 1, undefined]);
});

const REFUSED = [
  'Observation?subject.name=x&subject.shoe-size=44',
  'Observation?code.name=x',
  'Observation?subject:Practitioner.name=x',
  'Observation?subject:Pet.name=x',
  'Observation?patient.organization.partof.partof.name=x',
  'Observation?subject:Patient.name:contains=x',
  'QuestionnaireResponse?questionnaire.title=x',
  'Patient?_has:Observation:patient=x',
  'Patient?_has:Observation:code:status=final',
  'Patient?_has:Encounter:location:status=finished',
  'Patient?_has:Pet:owner:name=x',
  'Patient?_has:Observation:patient:shoe-size=44',
  'Patient?_has:Observation:patient:_has:Provenance:target:_has:AuditEvent:entity:_has:List:item:_id=x',
  'Patient?_include=*',
  'Patient?_include=Patient:*',
  'Patient?_include=Patient:name',
  'Patient?_include=Patient:organization:Pet',
  'Patient?_include=Patient:organization:Organization:x',
  'Patient?_include=Observation:subject',
  'Patient?_revinclude=Encounter:location',
  'Patient?_include=Patient:organization:Practitioner',
  'Patient?_revinclude=Observation:subject:Group',
  'Patient?_include:recurse=Patient:organization',
  'QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire',
  'Organization?name:contains=hospital',
  `Organization?name=${'x'.repeat(65)}`,
  'Patient/anna/$everything?start=2020',
  'Patient/anna/$everything?_type=Pet',
  'Patient/anna/$everything?_since=soon',
  'Patient/anna/$everything?_after=anna',
];

for (const query of REFUSED) {
  test(`[E7] ${query.slice(0, 80)} is refused, not ignored`, async () =>
    assert.equal((await store.call('GET', `/${query}`)).status, 400));
}

test('[E7] a chain that may lead to several types which differ in its parameter says to name one', async () => {
  const answer = await store.call('GET', '/AdverseEvent?substance.lot-number=x');
  assert.equal(answer.status, 400);
  assert.match(answer.text, /subject:Patient\.name/);
});

const EVERYTHING = [
  [
    'Patient/anna/$everything',
    'Encounter/visit Observation/panel Observation/pulse Patient/anna',
    'Organization/clinic Practitioner/house PractitionerRole/role',
  ],
  ['Patient/bert/$everything', 'Group/all Observation/other Patient/bert', 'Practitioner/house'],
  [
    'Patient/anna/$everything?_type=Observation,Practitioner',
    'Observation/panel Observation/pulse',
    'Practitioner/house',
  ],
  ['Patient/anna/$everything?_since=2999', '', ''],
  [
    'Encounter/visit/$everything',
    'Encounter/visit Observation/pulse',
    'Patient/anna Practitioner/house PractitionerRole/role',
  ],
] as const;

for (const [path, members, along] of EVERYTHING) {
  test(`[E1] ${path} gives the record, and what it refers to`, async () => {
    const page = await searchset(path);
    assert.deepEqual([ofMode(page, 'match'), ofMode(page, 'include')], [members, along]);
  });
}

test('[E1] $everything comes in pages that follow each other without gaps or repeats', async () => {
  const found: string[] = [];
  let at: string | undefined = 'Patient/anna/$everything?_count=1';
  for (let pages = 0; at; pages++) {
    assert.ok(pages < 4);
    const page: Searchset = await searchset(at);
    found.push(ofMode(page, 'match'));
    at = nextOf(page);
  }
  assert.deepEqual(found.toSorted(), ['Encounter/visit', 'Observation/panel', 'Observation/pulse', 'Patient/anna']);
});

test('[E1] $everything takes its parameters from a Parameters resource, and refuses what it cannot read there', async () => {
  const parameter = [
    { name: '_type', valueCode: 'Observation' },
    { name: '_count', valueInteger: 1 },
  ];
  const page = await searchset('Patient/anna/$everything', { resourceType: 'Parameters', parameter });
  assert.equal(ofMode(page, 'match'), 'Observation/panel');
  assert.match(nextOf(page) ?? '', /_type=Observation&_count=1&_after=/);
  for (const wrong of [
    { resourceType: 'Patient' },
    { resourceType: 'Parameters', parameter: [{ name: 'start', valueDate: '2020' }] },
    { resourceType: 'Parameters', parameter: [{ name: '_type', valueCode: 'Observation', valueString: 'x' }] },
    { resourceType: 'Parameters', parameter: [{ name: '_type', part: [] }] },
  ])
    assert.equal((await store.call('POST', '/Patient/anna/$everything', wrong)).status, 400);
});

test('[E1] $everything of what is not there is not found, and no other type has it', async () => {
  assert.equal((await store.call('GET', '/Patient/nobody/$everything')).status, 404);
  await store.call('PUT', '/Patient/deleted', { resourceType: 'Patient', id: 'deleted' });
  await store.call('DELETE', '/Patient/deleted');
  assert.equal((await store.call('GET', '/Patient/deleted/$everything')).status, 410);
  assert.equal((await store.call('GET', '/Practitioner/house/$everything')).status, 501);
});

test('[E3] no text of an unsealed type, nor the beginning of one, stands in any table', async () => {
  // Shorter ones may stand in a token by chance.
  const haystack = (await store.dump()).toLowerCase();
  for (const text of ['hospital', 'général', 'weiß', 'hospita', Buffer.from('Weiß').toString('hex')])
    assert.ok(!haystack.includes(text.toLowerCase()), text);
});
