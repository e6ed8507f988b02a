/** Bodies of JSON APIs that are as described, and still must not be taken as they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { planJsonOpen } from './open.ts';
import { readOpenApi } from './openapi.ts';
import { planJsonSeal } from './seal.ts';
import { writeText } from './text.ts';

const CLEAR = { type: 'string' };
const NAME = { type: 'string', 'x-phi': { class: 'name' } };
const PERSON = {
  type: 'object',
  'x-phi-subject': '/login',
  properties: {
    id: CLEAR,
    login: CLEAR,
    note: CLEAR,
    first: NAME,
    last: { type: 'string', 'x-phi': { class: 'name', treatment: 'index', index: 'family' } },
    lastSealed: CLEAR,
    ssn: {
      type: ['string', 'null'],
      'x-phi': {
        class: 'identifier',
        treatment: 'index',
        index: 'identifier',
        system: 'http://hl7.org/fhir/sid/us-ssn',
      },
    },
    ssnSealed: CLEAR,
    born: { type: 'string', format: 'date', 'x-phi': { class: 'birthDate' } },
    account: { type: 'integer', 'x-phi': { class: 'identifier', upstreamType: 'string' } },
    contacts: {
      type: 'array',
      maxItems: 100,
      uniqueItems: true,
      items: { type: 'object', properties: { kind: CLEAR, value: { type: 'string', 'x-phi': { class: 'contact' } } } },
    },
    marks: { type: 'array', items: { type: 'object', properties: { label: NAME } } },
    empty: { type: 'array', items: { type: 'object', 'x-phi-object': 'Part', properties: { first: NAME } } },
    relatives: { type: 'object', additionalProperties: NAME },
    homes: { type: 'object', additionalProperties: { type: 'object', properties: { street: NAME } } },
    size: { type: 'number' },
  },
};
const content = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Person' } } } };
const [operation] = readOpenApi(
  {
    openapi: '3.1.0',
    paths: { '/people': { post: { requestBody: content, responses: { '201': content } } } },
    components: { schemas: { Person: PERSON } },
  },
  'shop',
).operations;
const { request } = operation ?? {};
if (request?.kind !== 'mapped') throw new Error('no mapped request');
const { node, check, relaxed } = request;

const seal = (body: { [name: string]: Json }, more: object = {}) =>
  planJsonSeal({
    node,
    body: { login: 'u-1', ...body },
    type: 'Person',
    subject: undefined,
    addressed: [],
    partial: false,
    ...more,
  });
const open = (body: Json) =>
  planJsonOpen({ node, body, type: 'Person', subject: undefined, partlyWritten: new Set<string>() });
const TEXT = writeText({ objectId: '0b7c3f0e-53a1-4f0e-8f7f-3f1d9c0e7a42', scope: 'tenant' }, `kw1.${'A'.repeat(62)}`);
const INDEX = `kwi1${'a'.repeat(26)}`;

test('[E7] an indexed member takes no value that leaves nothing to search by, since the old index would stay', () => {
  for (const body of [{ ssn: '' }, { ssn: '--' }, { last: ' ' }, { last: '\u200b' }])
    for (const partial of [false, true])
      assert.throws(() => seal(body, { partial }), { code: 'API_BODY_INVALID', message: /Person\/\w+ holds nothing/ });
  assert.deepEqual(seal({ ssn: null }, { partial: true }).apply([]), { login: 'u-1', ssn: null, ssnSealed: null });
});

test('[A4] entries that differ only in what is not shown are no duplicates', () => {
  const hidden = { login: 'u-1', contacts: [{ kind: 'phone' }, { kind: 'phone' }] };
  assert.equal(relaxed(hidden), undefined);
  assert.match(String(check(hidden)), /^uniqueItems/);
});

test('[E1] no id, subject or part of the address is a value that is sealed', () => {
  const cases: readonly (readonly [body: { [name: string]: Json }, addressed?: readonly string[]])[] = [
    [{ login: '999-00-1234', ssn: '999001234' }],
    [{ login: '999001234', ssn: '999-00-1234' }],
    [{ login: 'ann.miller', first: 'Ann', last: 'Miller' }],
    [{ id: 'Miller', last: 'Miller' }],
    [{ id: '4711', account: 4711 }],
    [{ login: '1980-05-12', born: '1980-05-12' }],
    [{ login: 'ann@x.example', contacts: [{ value: 'Ann@x.example' }] }],
    [{ ssn: '999-00-1234' }, ['u-1', '999001234']],
  ];
  for (const [body, addressed = []] of cases)
    assert.throws(() => seal(body, { addressed }), { code: 'API_ID_REFUSED' }, JSON.stringify(body));
  const uuid = '6f2c6a52-6b2e-8c6f-9d0f-2a8f0d3f5b11';
  assert.equal(
    seal({ id: uuid, ssn: '999-00-1234', contacts: [{ value: uuid }], note: 'Miller', last: 'Miller' }).sites.length,
    3,
  );
});

test('[A5] a body of more places than are sealed at once is refused before anything is sealed', () => {
  const many = (length: number): { [name: string]: Json } => ({
    marks: Array.from({ length }, () => ({ label: 'x' })),
  });
  assert.equal(seal(many(19_000)).sites.length, 19_000);
  assert.throws(() => seal(many(20_000)), { code: 'API_BODY_TOO_LARGE' });
  assert.throws(() => seal({ empty: Array.from({ length: 20_000 }, () => ({})) }), { code: 'API_BODY_TOO_LARGE' });
  const stored = { login: 'u-1', marks: Array.from({ length: 20_000 }, () => ({ label: TEXT })) };
  assert.throws(() => open(stored), { code: 'API_RESPONSE_TOO_LARGE' });
});

test('[A5] numbers are checked as numbers, with the digits they were sent with', () => {
  const digits = JSON.rawJSON('1.10') as unknown as Json;
  assert.equal(check({ login: 'u-1', size: digits }), undefined);
  assert.match(String(check({ login: digits })), /^type/);
});

test('[E1] the value of a map is bound to its name, which no error tells', () => {
  const paths = (body: { [name: string]: Json }) => seal(body).sites.map(({ path }) => path);
  assert.deepEqual(paths({ relatives: { mother: 'Mum', 'a/b': 'Dad' } }), [
    'Person/relatives/mother',
    'Person/relatives/a~1b',
  ]);
  assert.deepEqual(paths({ homes: { summer: { street: 'x' } } }), ['Person/homes/summer/street']);
  const stored = { login: 'u-1', relatives: { mother: TEXT }, homes: { summer: { street: TEXT } } };
  assert.deepEqual(
    open(stored).sites.map(({ path }) => path),
    ['Person/relatives/mother', 'Person/homes/summer/street'],
  );
  assert.throws(
    () => seal({ relatives: { Secretname: { deep: 1 } } }),
    (error: Error) => !/Secretname/.test(error.message),
  );
});

test('[E1] marks of ours are found anywhere in clear texts and names, in requests and answers', () => {
  for (const text of [
    `/people?ssn=${INDEX}&page=2`,
    `see ${TEXT}`,
    `"${INDEX.toUpperCase()}"`,
    TEXT.replace('.', '%2E'),
  ]) {
    assert.throws(() => open({ login: 'u-1', note: text }), { code: 'SEAL_NOT_AUTHENTIC' }, text);
    assert.throws(() => seal({ note: text }), { code: 'API_RESERVED_VALUE' }, text);
  }
  assert.throws(() => open({ login: 'u-1', homes: { [INDEX]: {} } }), { code: 'SEAL_NOT_AUTHENTIC' });
  assert.throws(() => seal({ relatives: { [`x${INDEX}`]: 'Mum' } }), { code: 'API_RESERVED_VALUE' });
  assert.deepEqual(open({ login: 'u-1', note: 'the kwi1 format, and kw1j. too' }).sites, []);
});
