/** Threat: a caller limited to one patient who wants what is written of others: through shared records, pages, directories and groups. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import { type Answer, type Call, type Product, startProduct, type TokenChoice } from '../support/product.ts';

/** Only in what is said of the other patient, or of both. */
const TOLD_OF_OTHERS = /Betaname|MRN-B-888|HIV clinic|both of them|Mallory/;

let product: Product;
let own: TokenChoice;
const ids = {
  alpha: '',
  beta: '',
  group: '',
  appointment: '',
  alone: '',
  ofAlpha: '',
  encounterOfAlpha: '',
  encounterOfBeta: '',
  hospital: '',
};

before(async () => {
  product = await startProduct();
  ids.alpha = await create({ resourceType: 'Patient', name: [{ family: 'Alphaname' }], birthDate: '1980-05-06' });
  ids.beta = await create({ resourceType: 'Patient', name: [{ family: 'Betaname' }], birthDate: '1981-05-06' });
  own = { role: 'patient', patient: ids.alpha };
  const [alpha, beta] = [ids.alpha, ids.beta].map((id) => ({ reference: `Patient/${id}` }));
  const named = { ...beta, display: 'Betaname Zed', identifier: { system: 'urn:mrn', value: 'MRN-B-888' } };
  const members = [{ entity: { ...alpha, display: 'Alphaname' } }, { entity: named }];
  ids.group = await create({
    resourceType: 'Group',
    type: 'person',
    actual: true,
    name: 'HIV clinic',
    member: members,
  });
  const accepted = { status: 'accepted' };
  const appointment = { resourceType: 'Appointment', status: 'booked', identifier: [{ value: 'APP-1' }] };
  ids.appointment = await create({
    ...appointment,
    description: 'both of them',
    participant: [
      { actor: alpha, ...accepted },
      { actor: named, ...accepted },
    ],
  });
  const note = { ...appointment, description: 'of Alpha alone', identifier: [{ value: 'APP-2' }] };
  ids.alone = await create({ ...note, participant: [{ actor: alpha, ...accepted }] });
  const encounter = { resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' } };
  ids.encounterOfAlpha = await create({ ...encounter, subject: alpha });
  ids.encounterOfBeta = await create({ ...encounter, subject: beta });
  ids.hospital = await create({ resourceType: 'Organization', name: 'General' });
  const condition = { resourceType: 'Condition', code: { text: 'told in confidence' } };
  ids.ofAlpha = await create({
    ...condition,
    subject: alpha,
    encounter: { reference: `Encounter/${ids.encounterOfAlpha}` },
  });
  for (let count = 0; count < 3; count++)
    await create({ ...condition, subject: beta, encounter: { reference: `Encounter/${ids.encounterOfBeta}` } });
});

async function create(json: { readonly resourceType: string; readonly [member: string]: unknown }): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

const as = async (choice: TokenChoice, call: Call): Promise<Answer> =>
  product.fhir({ ...call, token: await product.token(choice) });

type Shown = {
  readonly id: string;
  readonly resourceType: string;
  readonly meta?: { readonly tag?: readonly { code: string }[] };
};
const shownIn = ({ body }: Answer): Shown[] =>
  body['resourceType'] === ('Bundle' as unknown)
    ? ((body['entry'] ?? []) as unknown as { resource: Shown }[]).map(({ resource }) => resource)
    : [body as unknown as Shown];
const isPartial = ({ meta }: Shown): boolean => meta?.tag?.some(({ code }) => code === 'SUBSETTED') ?? false;
const nextOf = ({ body }: Answer): string | undefined =>
  ((body['link'] ?? []) as unknown as { relation: string; url: string }[])
    .find(({ relation }) => relation === 'next')
    ?.url.slice(product.base.length);

/** All pages that a caller is given, one after the other. */
async function pagesOf(choice: TokenChoice, first: string): Promise<Answer[]> {
  const pages: Answer[] = [];
  for (
    let path: string | undefined = first;
    path !== undefined && pages.length < 20;
    path = nextOf(pages.at(-1) as Answer)
  )
    pages.push(await as(choice, { path }));
  return pages;
}

test('[A3] a record of several patients opens to none of them: what is said of the others stays sealed', async () => {
  const limited: readonly TokenChoice[] = [own, { role: 'clinician', scope: 'patient/*.cruds', patient: ids.alpha }];
  const paths = [
    `/Appointment/${ids.appointment}`,
    `/Appointment/${ids.appointment}/_history/1`,
    '/Appointment',
    '/Patient?_revinclude=Appointment:patient',
    `/Patient/${ids.alpha}/$everything`,
  ];
  for (const choice of limited) {
    const histories = choice.role === 'clinician' ? [`/Appointment/${ids.appointment}/_history`] : [];
    for (const path of [...paths, ...histories]) {
      const answer = await as(choice, { path });
      assert.equal(answer.status, 200, `${choice.role} ${path}: ${refusalOf(answer)}`);
      assert.doesNotMatch(JSON.stringify(answer.body), TOLD_OF_OTHERS, `${choice.role} ${path}`);
      const shared = shownIn(answer).filter(({ id }) => id === ids.appointment);
      assert.deepEqual(shared.map(isPartial), [true], `${choice.role} ${path} shows it as the part it is`);
    }
  }
  const whole = await product.fhir({ path: `/Appointment/${ids.appointment}`, role: 'clinician' });
  assert.match(
    JSON.stringify(whole.body),
    /Betaname Zed.*MRN-B-888|MRN-B-888.*Betaname Zed/,
    'it is there for who may read it',
  );
});

test('[A3] what is of the patient alone opens to the patient whole', async () => {
  for (const path of [`/Appointment/${ids.alone}`, `/Condition/${ids.ofAlpha}`, `/Patient/${ids.alpha}`]) {
    const answer = await as(own, { path });
    assert.deepEqual([answer.status, shownIn(answer).map(isPartial)], [200, [false]], path);
  }
});

test('[A3] a group is shown to nobody who is limited to one of its members', async () => {
  for (const path of [`/Group/${ids.group}`, `/Group/${ids.group}/_history/1`])
    assert.equal(refusalOf(await as(own, { path })), '403 ACCESS_DENIED', path);
  for (const path of ['/Patient?_revinclude=Group:member', `/Patient/${ids.alpha}/$everything`]) {
    const answer = await as(own, { path });
    assert.ok(answer.status === 200 && shownIn(answer).length > 0, path);
    assert.ok(!shownIn(answer).some(({ resourceType }) => resourceType === 'Group'), path);
  }
});

test('[A4] a shared record answers no question about what is sealed in it', async () => {
  const search = async (form: Record<string, string>) =>
    shownIn(await as(own, { method: 'POST', path: '/Appointment/_search', form })).map(({ id }) => id);
  assert.deepEqual(await search({ identifier: 'APP-2' }), [ids.alone]);
  assert.deepEqual(await search({ identifier: 'APP-1' }), []);
  assert.deepEqual(await search({ 'identifier:not': 'APP-9' }), [ids.alone]);
});

test('[A3] pages of $everything neither count nor time what is not shown', async () => {
  const partner: TokenChoice = { role: 'partner' };
  const hidden = await as(partner, { path: `/Patient/${ids.beta}/$everything?_type=Condition&_count=1` });
  assert.equal(refusalOf(hidden), '403 ACCESS_DENIED');
  for (const query of ['_count=1', '_type=Condition,Patient,Encounter&_count=1']) {
    const pages = await pagesOf(partner, `/Patient/${ids.beta}/$everything?${query}`);
    assert.deepEqual(
      new Set(pages.flatMap(shownIn).map(({ resourceType }) => resourceType)),
      new Set(['Encounter', 'Patient']),
    );
    assert.ok(
      pages.every((page) => shownIn(page).length > 0),
      `${query}: ${pages.length} pages`,
    );
  }
});

test('[A3] $everything of an encounter begins with one that the caller may read', async () => {
  for (const query of ['', '?_type=Condition&_count=1', '?_type=Procedure'])
    assert.equal(
      refusalOf(await as(own, { path: `/Encounter/${ids.encounterOfBeta}/$everything${query}` })),
      '403 ACCESS_DENIED',
      query,
    );
  const shown = shownIn(await as(own, { path: `/Encounter/${ids.encounterOfAlpha}/$everything` })).map(({ id }) => id);
  assert.deepEqual(new Set(shown), new Set([ids.alpha, ids.encounterOfAlpha, ids.ofAlpha]));
});

test('[A3] a scope of one patient reads the directory and changes nothing in it', async () => {
  const limited: TokenChoice = { role: 'clinician', scope: 'patient/*.cruds', patient: ids.alpha };
  const path = `/Organization/${ids.hospital}`;
  const [version] = shownIn(await as(limited, { path }));
  assert.equal(version?.resourceType, 'Organization');
  const mallory = { resourceType: 'Organization', name: 'Mallory' };
  const changes: readonly Call[] = [
    { path: '/Organization', json: mallory },
    { method: 'PUT', path, json: { ...mallory, id: ids.hospital } },
    { method: 'DELETE', path },
    { path: `${path}/_history` },
    {
      method: 'PATCH',
      path,
      raw: JSON.stringify([{ op: 'replace', path: '/name', value: 'Mallory' }]),
      headers: { 'content-type': 'application/json-patch+json' },
    },
  ];
  for (const call of changes)
    assert.equal(refusalOf(await as(limited, call)), '403 ACCESS_DENIED', `${call.method ?? ''} ${call.path}`);
  const { status, body } = await product.fhir({ path, role: 'clinician' });
  assert.deepEqual([status, textOf(body['name'])], [200, 'General']);
});

test('[A3] a group whose members the caller may not be told is not exported', async () => {
  const headers = { prefer: 'respond-async' };
  const limited: TokenChoice = { role: 'clinician', scope: 'patient/Group.r system/Patient.rs', patient: ids.alpha };
  const path = `/Group/${ids.group}/$export`;
  assert.equal(refusalOf(await as(limited, { path, headers })), '403 ACCESS_DENIED');
  const whole = await as({ role: 'clinician', scope: 'user/Group.r system/Patient.rs' }, { path, headers });
  assert.equal(whole.status, 202);
});

test('[S1] a chain of many links is refused at once, and holds up nobody', async () => {
  const chain = (links: number) => `/Task?${Array(links).fill('subject').join('.')}.zzz=1`;
  const begunAtMs = performance.now();
  for (const path of [
    chain(4),
    chain(12),
    chain(1000),
    `/Task?focus.focus.focus.zzz=1`,
    `/Task?${'_has:Task:focus:'.repeat(500)}code=1`,
  ])
    assert.equal(refusalOf(await as({ role: 'clinician' }, { path })), '400 FHIR_PARAM_UNSUPPORTED', path.slice(0, 60));
  assert.ok(performance.now() - begunAtMs < 5_000);
});
