/** Threat: the FHIR server behind the gateway lies. Whatever it answers, a client gets authentic data or a coded refusal. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import { PATIENT } from '../support/canaries.ts';
import { type Answer, type Call, type Product, startProduct } from '../support/product.ts';
import { type Json, type Lie, RecordingUpstream, type Reply, searchset } from '../support/recording-upstream.ts';

/** In every text of the upstream's own; no client may ever see it. */
const HOSTILE = 'HOSTILE';
const TIMEOUT_MS = 2_000;

let upstream: RecordingUpstream;
let product: Product;
let alice: string;
let bob: string;
let first: string;
let second: string;

before(async () => {
  upstream = await RecordingUpstream.start();
  product = await startProduct({
    env: {
      KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url,
      KEYWARD_GATEWAY_UPSTREAM_TIMEOUT_MS: String(TIMEOUT_MS),
      KEYWARD_GATEWAY_MAX_UPSTREAM_BYTES: '1000000',
    },
  });
  [alice, bob] = [await create(PATIENT), await create({ ...PATIENT, name: [{ family: 'Bobek', given: ['Boris'] }] })];
  [first, second] = [await create(resultOf('first')), await create(resultOf('second'))];
});
after(() => upstream.close());

const resultOf = (text: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
  subject: { reference: `Patient/${alice}` },
  note: [{ text }],
  valueString: `value of ${text}`,
});

async function create(json: { readonly resourceType: string; readonly [member: string]: unknown }): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return `${json.resourceType}/${textOf(body['id'])}`.replace('Patient/', '');
}

/** One call while the upstream lies; then it is honest again. */
async function lyingTo(call: Call, lie: Lie): Promise<Answer> {
  upstream.lie = lie;
  try {
    return await product.fhir({ role: 'clinician', ...call });
  } finally {
    upstream.lie = (truth) => truth;
  }
}

/** A sealed record, as the upstream may take it apart. Every member is there, or the test is wrong. */
interface Sealed extends Json {
  id: string;
  resourceType: string;
  extension: Json[];
  name: { family: string; given: string[]; text: string; _family: Marked; _given: Marked[] }[];
  note: { text: string }[];
  valueString: string;
  text: Json;
  identifier: Json[];
}
interface Marked extends Json {
  extension: { url: string; valueString: string }[];
}

/** Whether anything of the upstream's own reached the client. */
const isTold = ({ body, headers }: Answer) => /HOSTILE|evil/.test(JSON.stringify([body, headers]));

const copyOf = (name: string): Sealed => structuredClone(upstream.stored.get(name)) as Sealed;
const nameOf = (patient: Sealed) => patient.name[0] as Sealed['name'][number];
const tokenOf = (marked: Marked | undefined) => marked?.extension[0] as { valueString: string };
const familyToken = (patient: Sealed) => tokenOf(nameOf(patient)['_family']);
const isRoot = ({ url }: Json) => url === 'urn:keyward:root';
const withoutRoot = (resource: Sealed) => resource.extension.filter((entry) => !isRoot(entry));
const rootParts = (resource: Sealed) => (resource.extension.find(isRoot) as { extension: Json[] }).extension;
/** Another character at a place that matters. */
const flip = (token: string, index: number) =>
  token.slice(0, index) + (token[index] === 'A' ? 'B' : 'A') + token.slice(index + 1);

/** Lies about Patient `alice`, with what becomes of them. */
const PATIENT_LIES: Readonly<Record<string, (patient: Sealed, other: Sealed) => unknown>> = {
  'a token of another field': (patient) => {
    familyToken(patient).valueString = tokenOf(nameOf(patient)['_given'][0]).valueString;
  },
  'two tokens of one list swapped with a field': (patient) => {
    nameOf(patient).text = familyToken(patient).valueString;
  },
  'a token of another patient': (patient, other) => {
    familyToken(patient).valueString = familyToken(other).valueString;
  },
  'the root of another patient': (patient, other) => {
    patient.extension = [...withoutRoot(patient), ...other.extension.filter(isRoot)];
  },
  'a name of another patient whole': (patient, other) => {
    patient.name = other.name;
  },
  'a token cut short': (patient) => {
    familyToken(patient).valueString = familyToken(patient).valueString.slice(0, -4);
  },
  'a token with a flipped character at its end': (patient) => {
    familyToken(patient).valueString = flip(
      familyToken(patient).valueString,
      familyToken(patient).valueString.length - 6,
    );
  },
  'a token with another key id': (patient) => {
    familyToken(patient).valueString = flip(familyToken(patient).valueString, 10);
  },
  'a token twice': (patient) => {
    nameOf(patient)['_family'].extension.push({
      ...nameOf(patient)['_family'].extension[0],
    } as Marked['extension'][number]);
  },
  'an index without its token': (patient) => {
    nameOf(patient)['_family'] = {} as Marked;
  },
  'plaintext beside the token': (patient) => {
    nameOf(patient).text = HOSTILE;
  },
  'plaintext in place of a token': (patient) => {
    nameOf(patient).family = HOSTILE;
    nameOf(patient)['_family'] = {} as Marked;
  },
  'a planted address': (patient) => {
    patient['address'] = [{ line: [HOSTILE] }];
  },
  'a planted narrative': (patient) => {
    patient.text = { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${HOSTILE}</div>` };
  },
  'a planted extension': (patient) => {
    patient.extension.push({ url: 'https://evil.example', valueString: HOSTILE });
  },
  'a mark nobody writes': (patient) => {
    patient.extension.push({ url: 'urn:keyward:override', valueBoolean: true });
  },
  'a root inside': (patient) => {
    (patient['contained'] as Json[])[0] = {
      ...(patient['contained'] as Json[])[0],
      extension: patient.extension.filter(isRoot),
    };
  },
  'no root': (patient) => {
    patient.extension = withoutRoot(patient);
  },
  'two roots': (patient) => {
    patient.extension.push(...patient.extension.filter(isRoot));
  },
  'a root with another scope': (patient) => {
    for (const part of rootParts(patient)) if (part['url'] === 'scope') part['valueString'] = 'tenant';
  },
  'a root with half its parts': (patient) => {
    rootParts(patient).splice(2);
  },
  'another id': (patient) => {
    patient.id = bob;
  },
  'another type': (patient) => {
    patient.resourceType = 'Person';
  },
  'an element left out with its tokens': (patient) => {
    delete (patient as Json)['telecom'];
  },
  'everything sealed left out, the root kept': ({ resourceType, id, extension }) => ({
    resourceType,
    id,
    extension: extension.filter(isRoot),
  }),
  'everything sealed left out, the root too': ({ resourceType, id }) => ({ resourceType, id, gender: 'other' }),
  'two tokens of one list exchanged': (patient) => {
    nameOf(patient)['_given'] = nameOf(patient)['_given'].toReversed();
  },
  'one token of a list left out': (patient) => {
    nameOf(patient).given.pop();
    nameOf(patient)['_given'].pop();
  },
  'a token of a list once more': (patient) => {
    nameOf(patient).given.push(nameOf(patient).given[0] as string);
    nameOf(patient)['_given'].push(nameOf(patient)['_given'][0] as Marked);
  },
  'a token moved to another entry of its list': (patient) => {
    const { given, _given: tokens, ...rest } = nameOf(patient);
    patient.name = [rest, { given, _given: tokens }] as Sealed['name'];
  },
  'no proof': (patient) => {
    rootParts(patient).splice(3);
  },
  'the proof of another record': (patient, other) => {
    rootParts(patient)[3] = rootParts(other)[3] as Json;
  },
  'a field in place of the proof': (patient) => {
    rootParts(patient)[3] = { ...rootParts(patient)[3], valueString: familyToken(patient).valueString };
  },
  'an object in place of a text': (patient) => {
    nameOf(patient).text = { text: HOSTILE } as unknown as string;
  },
  'a whole record in clear': () => ({ ...PATIENT, id: alice, name: [{ family: HOSTILE }] }),
  'another record in clear': () => ({ resourceType: 'Organization', id: alice, name: HOSTILE }),
};

test('[E1] a sealed record opens only as it was sealed: every change to tokens, marks and identity is refused', async () => {
  assert.equal((await product.fhir({ path: `/Patient/${alice}`, role: 'clinician' })).status, 200, 'honest, it opens');
  const told: string[] = [];
  for (const [what, lie] of Object.entries(PATIENT_LIES)) {
    const patient = copyOf(`Patient/${alice}`);
    const body = lie(patient, copyOf(`Patient/${bob}`)) ?? patient;
    const answer = await lyingTo({ path: `/Patient/${alice}` }, () => ({ status: 200, body }));
    if (!/^502 (SEAL_NOT_AUTHENTIC|GATEWAY_UPSTREAM_(INVALID|UNSEALED))$/.test(refusalOf(answer)))
      told.push(`${what}: ${refusalOf(answer)}`);
    assert.doesNotMatch(JSON.stringify(answer.body), /HOSTILE|Bobek|Kolibri/, what);
  }
  assert.deepEqual(told, []);
});

test('[E1] whatever part of a record is asked for, and by whom, nothing of a record is shown of which something was left out', async () => {
  const patient = copyOf(`Patient/${alice}`);
  delete (patient as Json)['telecom'];
  const [one, list] = [patient, searchset([patient])];
  const form = { family: 'Kolibrifamily' };
  const seen: readonly (readonly [call: Call, body: unknown])[] = [
    [{ path: `/Patient/${alice}` }, one],
    [{ path: `/Patient/${alice}?_elements=telecom` }, one],
    [{ path: `/Patient/${alice}?_elements=name` }, one],
    [{ path: `/Patient/${alice}?_summary=text` }, one],
    [{ path: `/Patient/${alice}`, role: 'partner' }, one],
    [{ path: `/Patient/${alice}/_history` }, { ...list, type: 'history' }],
    [{ method: 'POST', path: '/Patient/_search', form }, list],
    [{ method: 'POST', path: '/Patient/_search', form: { ...form, _elements: 'name' } }, list],
  ];
  const told: string[] = [];
  for (const [call, body] of seen) told.push(refusalOf(await lyingTo(call, () => ({ status: 200, body }))));
  assert.deepEqual(new Set(told), new Set(['502 SEAL_NOT_AUTHENTIC']), told.join());
});

test('[E1] for who may open nothing no key is used, and nothing is verified', async () => {
  const patient = copyOf(`Patient/${alice}`);
  delete (patient as Json)['telecom'];
  const call = { path: `/Patient/${alice}`, role: 'researcher' };
  const answer = await lyingTo(call, () => ({ status: 200, body: patient }));
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const entries = await product.ledger(`&correlationId=${String(answer.headers['x-correlation-id'])}`);
  assert.deepEqual(
    entries.map((entry) => entry['class']),
    ['disclosure'],
    'no access to a key',
  );
});

test('[E1] a record without anything to seal is sealed too: nothing was taken from it', async () => {
  const json = { resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${alice}` } };
  const path = await create({ ...json, code: { coding: [{ code: '718-7' }] } });
  assert.equal((await product.fhir({ path: `/${path}`, role: 'clinician' })).status, 200);
  const lies: readonly ((result: Sealed) => unknown)[] = [
    (result) => (result.extension = withoutRoot(result)),
    (result) => rootParts(result).splice(3),
    (result) => (result.extension = copyOf(second).extension),
  ];
  for (const [index, lie] of lies.entries()) {
    const result = copyOf(path);
    lie(result);
    const answer = await lyingTo({ path: `/${path}` }, () => ({ status: 200, body: result }));
    assert.match(refusalOf(answer), /^502 (SEAL_NOT_AUTHENTIC|GATEWAY_UPSTREAM_UNSEALED)$/, `lie ${index}`);
  }
});

test('[E1] a token does not open in another record of the same patient, nor in another element of the same kind', async () => {
  const lies: readonly ((result: Sealed) => void)[] = [
    (result) => void (result.note = copyOf(second).note),
    (result) => void (result.valueString = result.note[0]?.text ?? ''),
    (result) => void (result.extension = copyOf(second).extension),
  ];
  for (const [index, lie] of lies.entries()) {
    const result = copyOf(first);
    lie(result);
    const answer = await lyingTo({ path: `/${first}` }, () => ({ status: 200, body: result }));
    assert.equal(refusalOf(answer), '502 SEAL_NOT_AUTHENTIC', `lie ${index}`);
  }
});

test('[A3] answers that are no FHIR, too large, too deep, errors, redirects or nothing at all become coded refusals', async () => {
  const patient = () => copyOf(`Patient/${alice}`);
  const outcome = { resourceType: 'OperationOutcome', issue: [{ diagnostics: HOSTILE }] };
  const answers: Readonly<Record<string, Reply>> = {
    'no body': { status: 200, body: '' },
    'no content': { status: 204, body: '' },
    HTML: { status: 200, body: `<h1>${HOSTILE}</h1>` },
    'half of JSON': { status: 200, body: JSON.stringify(patient()).slice(0, -1) },
    'a key twice': { status: 200, body: JSON.stringify(patient()).replace('{', '{"id":"other",') },
    null: { status: 200, body: 'null' },
    'a list': { status: 200, body: [patient()] },
    'a text': { status: 200, body: '"HOSTILE"' },
    '100 levels': { status: 200, body: '['.repeat(100) + ']'.repeat(100) },
    'two megabytes': { status: 200, body: { ...patient(), language: 'x'.repeat(2_000_000) } },
    'an outcome in place of the record': { status: 200, body: outcome },
    'an error with PHI': { status: 400, body: outcome },
    'a refused token': { status: 401, body: outcome, headers: { 'www-authenticate': HOSTILE } },
    'a failure': { status: 500, body: `${HOSTILE} at line 1` },
    teapot: { status: 418, body: outcome },
    'a redirect': { status: 302, body: '', headers: { location: `http://evil.example/${HOSTILE}` } },
    'a redirect with a record': { status: 302, body: patient(), headers: { location: 'http://evil.example/' } },
  };
  const told: string[] = [];
  for (const [what, reply] of Object.entries(answers)) {
    const answer = await lyingTo({ path: `/Patient/${alice}` }, () => reply);
    const isRefused = /^(422|502|503) (FHIR_UPSTREAM_REFUSED|GATEWAY_UPSTREAM_[A-Z]+)$/.test(refusalOf(answer));
    if (!isRefused || isTold(answer)) told.push(`${what}: ${refusalOf(answer)}`);
  }
  assert.deepEqual(told, []);
});

for (const [what, lie] of [
  ['never answers', () => undefined],
  ['never ends its answer', (): Reply => ({ status: 200, dripMs: TIMEOUT_MS / 4 })],
] as const) {
  test(`[S1] an upstream that ${what} holds no client longer than a few times its timeout`, async () => {
    const patience = AbortSignal.timeout(8 * TIMEOUT_MS);
    const tooLong = new Promise<never>((_resolve, reject) =>
      patience.addEventListener('abort', () => reject(new Error('no answer')), { once: true }),
    );
    const answer = await Promise.race([lyingTo({ path: `/Patient/${alice}` }, lie), tooLong]);
    assert.equal(refusalOf(answer), '503 GATEWAY_UPSTREAM_UNAVAILABLE');
  });
}

test('[A3] a result list holds nothing that was not asked for, and no link, total or text of the upstream', async () => {
  const sealed = () => copyOf(`Patient/${alice}`);
  const evil = [
    { relation: 'next', url: `http://evil.example/fhir/Patient?page=${HOSTILE}` },
    { relation: HOSTILE, url: HOSTILE },
  ];
  const bodies: Readonly<Record<string, unknown>> = {
    'links to another host': searchset([sealed()], { link: evil }),
    'a total that is a text': searchset([sealed()], { total: HOSTILE }),
    'members nobody knows': searchset([sealed()], { [HOSTILE]: HOSTILE, signature: { data: HOSTILE } }),
    'an entry in clear': searchset([{ ...PATIENT, name: [{ family: HOSTILE }], id: 'x' }]),
    'an outcome among the results': searchset([
      sealed(),
      { resourceType: 'OperationOutcome', issue: [{ diagnostics: HOSTILE }] },
    ]),
    'an entry that is null': { ...searchset([]), entry: [null] },
    'a resource that is null': searchset([null]),
    'entries that are no list': { ...searchset([]), entry: HOSTILE },
    'links that are no list': searchset([sealed()], { link: HOSTILE }),
    'a link that is no URL': searchset([sealed()], { link: [{ relation: 'next', url: `http://[${HOSTILE}` }] }),
    'no bundle': sealed(),
  };
  const told: string[] = [];
  for (const [what, body] of Object.entries(bodies)) {
    const answer = await lyingTo({ path: '/Patient' }, () => ({ status: 200, body }));
    if (isTold(answer) || ![200, 502].includes(answer.status)) told.push(`${what}: ${refusalOf(answer)}`);
  }
  assert.deepEqual(told, []);
});

test('[A3] a link to another host is never followed: a page link asks only the upstream that was configured', async () => {
  const link = [{ relation: 'next', url: 'http://evil.example:9/fhir/Patient?page=2' }];
  const page = await lyingTo({ path: '/Patient' }, (truth) => ({ ...truth, body: { ...(truth.body as Json), link } }));
  const next = (page.body['link'] as unknown as { relation: string; url: string }[]).find(
    ({ relation }) => relation === 'next',
  );
  assert.ok(next);
  const asked: string[] = [];
  const answer = await lyingTo({ path: next.url.slice(product.base.length) }, (_truth, { path }) => {
    asked.push(path);
    return { status: 200, body: searchset([]) };
  });
  assert.deepEqual([answer.status, asked], [200, ['/Patient?page=2']]);
});

test('[A3] a history holds versions of the record that was asked for, and of no other', async () => {
  const body = { ...searchset([copyOf(`Patient/${bob}`)]), type: 'history' };
  const answer = await lyingTo({ path: `/Patient/${alice}/_history` }, () => ({ status: 200, body }));
  assert.doesNotMatch(JSON.stringify(answer.body), /Bobek/, refusalOf(answer));
});

test('[L1] a write is told as the upstream did it or refused as unknown, in no words of the upstream', async () => {
  const entry = (more: Json) => ({ response: { status: '201 Created', location: `Patient/r99/_history/1`, ...more } });
  const transaction = {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [{ resource: PATIENT, request: { method: 'POST', url: 'Patient' } }],
  };
  const response = (...entries: unknown[]) => ({
    resourceType: 'Bundle',
    type: 'transaction-response',
    entry: entries,
  });
  const lies: readonly (readonly [what: string, call: Call, body: unknown])[] = [
    ['no entry', { path: '/', json: transaction }, response()],
    ['two entries', { path: '/', json: transaction }, response(entry({}), entry({}))],
    ['an entry that is null', { path: '/', json: transaction }, response(null)],
    ['another type', { path: '/', json: transaction }, response(entry({ location: 'Group/1/_history/1' }))],
    ['a failed entry', { path: '/', json: transaction }, response(entry({ status: `400 ${HOSTILE}` }))],
    ['a status with words', { path: '/', json: transaction }, response(entry({ status: `201 ${HOSTILE}` }))],
    [
      'another host',
      { path: '/', json: transaction },
      response(entry({ location: `http://evil.example/${HOSTILE}/Patient/r99/_history/1` })),
    ],
    ['a time with words', { path: '/', json: transaction }, response(entry({ lastModified: HOSTILE }))],
    [
      'no bundle',
      { path: '/', json: transaction },
      { resourceType: 'OperationOutcome', issue: [{ diagnostics: HOSTILE }] },
    ],
    ['a create of another type', { path: '/Patient', json: PATIENT }, { resourceType: 'Group', id: '1' }],
    ['a create without an id', { path: '/Patient', json: PATIENT }, { resourceType: 'Patient' }],
    ['an id with words', { path: '/Patient', json: PATIENT }, { resourceType: 'Patient', id: `../${HOSTILE}` }],
    [
      'a version with words',
      { path: '/Patient', json: PATIENT },
      { resourceType: 'Patient', id: '1', meta: { versionId: `1/${HOSTILE}` } },
    ],
    [
      'a version with a line',
      { path: '/Patient', json: PATIENT },
      { resourceType: 'Patient', id: '1', meta: { versionId: `1\r\nx: ${HOSTILE}` } },
    ],
  ];
  const told: string[] = [];
  for (const [what, call, body] of lies) {
    const answer = await lyingTo(call, () => ({ status: 200, body }));
    if (isTold(answer)) told.push(what);
    else if (
      !/^(20[01] undefined|422 FHIR_UPSTREAM_REFUSED|502 GATEWAY_UPSTREAM_INVALID|504 GATEWAY_OUTCOME_UNKNOWN)$/.test(
        refusalOf(answer),
      )
    )
      told.push(`${what}: ${refusalOf(answer)}`);
  }
  assert.deepEqual(told, []);
});

test('[E2] an upstream cannot choose under whose key a record is sealed', async () => {
  const scopes: readonly ((patient: Sealed) => unknown)[] = [
    (patient) => void (patient.extension = copyOf(`Patient/${bob}`).extension),
    (patient) => ({ resourceType: 'Patient', id: patient.id }),
    () => copyOf(`Patient/${bob}`),
  ];
  const told: string[] = [];
  for (const [index, lie] of scopes.entries()) {
    // A patient that no gateway remembers, so that the upstream is asked.
    const id = `unknown-${index}`;
    upstream.stored.set(`Patient/${id}`, { ...copyOf(`Patient/${alice}`), id });
    const patient = copyOf(`Patient/${id}`);
    const body = lie(patient) ?? patient;
    const json = { ...resultOf('told in confidence'), subject: { reference: `Patient/${id}` } };
    const answer = await lyingTo({ path: '/Observation', json }, (truth, { method }) =>
      method === 'GET' ? { status: 200, body } : truth,
    );
    told.push(refusalOf(answer).slice(0, 3));
  }
  assert.deepEqual(told, ['502', '502', '502']);
});

test('[L1] every one of these failures is in the ledger, as a failure under its code', async () => {
  const answer = await lyingTo({ path: `/Patient/${alice}` }, () => ({ status: 200, body: HOSTILE }));
  const entries = await product.ledger(`&correlationId=${String(answer.headers['x-correlation-id'])}`);
  assert.deepEqual(
    entries.map((entry) => [entry['class'], entry['event']?.['code']]),
    [['failure', 'GATEWAY_UPSTREAM_INVALID']],
  );
});
