/** JSON APIs: what descriptions say, what is refused in them, and what becomes of bodies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { readMapFile } from './map-file.ts';
import { planJsonOpen } from './open.ts';
import { readOpenApi } from './openapi.ts';
import { planJsonSeal } from './seal.ts';
import { writeText } from './text.ts';
import type { BodyRule, JsonApiMap } from './types.ts';

const ROOT = { objectId: '0b7c3f0e-53a1-4f0e-8f7f-3f1d9c0e7a42', scope: 'tenant' };
const SUBJECT_ROOT = { ...ROOT, scope: '6f2c6a52-6b2e-8c6f-9d0f-2a8f0d3f5b11' };
const TOKEN = `kw1.${'A'.repeat(62)}`;
const PHI = { class: 'name' };
const text = (more: object = {}) => ({ type: 'string', ...more });
const list = (items: object): object => ({ type: 'array', items });

/** A description with one create and one read of an object made of these properties. */
const describing = (properties: object, more: object = {}, operation: object = {}): object => {
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } };
  return {
    openapi: '3.1.0',
    paths: {
      '/things': {
        post: { requestBody: { content }, responses: { '201': { content } }, ...operation },
        get: {
          responses: {
            '200': {
              content: { 'application/json': { schema: { type: 'array', items: content['application/json'].schema } } },
            },
          },
        },
      },
    },
    components: { schemas: { Thing: { type: 'object', properties, ...more } } },
  };
};
const read = (properties: object, more: object = {}, operation: object = {}): JsonApiMap =>
  readOpenApi(describing(properties, more, operation), 'shop');

function mapped(map: JsonApiMap, method: string, side: 'request' | 'response') {
  const operation = map.operations.find((one) => one.method === method);
  const rule: BodyRule | undefined =
    side === 'request' ? operation?.request : [...(operation?.responses.values() ?? [])][0];
  if (rule?.kind !== 'mapped') throw new Error(`${method} has no mapped ${side}`);
  return rule;
}
const sealPlan = (map: JsonApiMap, body: Json, more: object = {}) =>
  planJsonSeal({
    node: mapped(map, 'POST', 'request').node,
    body,
    type: 'Thing',
    subject: undefined,
    addressed: [],
    partial: false,
    ...more,
  });
const openPlan = (map: JsonApiMap, body: Json) =>
  planJsonOpen({
    node: mapped(map, 'POST', 'response').node,
    body,
    type: 'Thing',
    subject: undefined,
    partlyWritten: map.partlyWritten,
  });
const stored = (root = ROOT) => writeText(root, TOKEN);
const sealedBody = (map: JsonApiMap, body: Json) => {
  const plan = sealPlan(map, body);
  return plan.apply(
    plan.sites.map(({ term }) => ({ text: stored(), index: term ? `kwi1${'a'.repeat(26)}` : undefined })),
  );
};

const ALL = {
  id: text(),
  name: text({ 'x-phi': PHI }),
  code: text({ 'x-phi': { class: 'identifier', treatment: 'index', index: 'identifier' } }),
  codeSealed: text(),
  born: text({ format: 'date', 'x-phi': { class: 'birthDate', treatment: 'year', companion: 'bornText' } }),
  bornText: text(),
  age: { type: 'integer', 'x-phi': { class: 'birthDate', treatment: 'omit' } },
  ageSealed: text(),
  tags: { type: 'array', items: text({ 'x-phi': { class: 'label' } }) },
  parts: { type: 'array', items: { $ref: '#/components/schemas/Thing' } },
  notes: { type: 'object', additionalProperties: text({ 'x-phi': { class: 'freeText' } }) },
};
const BODY = {
  id: '7',
  name: 'Ann',
  code: 'X-1',
  born: '1980-05-12',
  age: 44,
  tags: ['a', 'b'],
  parts: [{ name: 'Bob' }],
  notes: { one: 'n1' },
};

test('[E1] each treatment stores what it promises, and opening the stored body asks for the same sites', () => {
  const map = read(ALL);
  const sealed = sealedBody(map, BODY);
  const ciphertext = stored();
  assert.deepEqual(sealed, {
    id: '7',
    name: ciphertext,
    code: `kwi1${'a'.repeat(26)}`,
    codeSealed: ciphertext,
    born: '1980',
    bornText: ciphertext,
    ageSealed: ciphertext,
    tags: [ciphertext, ciphertext],
    parts: [{ name: ciphertext }],
    notes: { one: ciphertext },
  });
  const sites = sealPlan(map, BODY).sites.map(({ path, datatype, fieldClass }) => [path, datatype, fieldClass]);
  const opened = openPlan(map, sealed);
  assert.deepEqual(
    opened.sites.map(({ path, datatype, fieldClass }) => [path, datatype, fieldClass]),
    sites,
  );
  assert.deepEqual(
    sites.map(([path]) => path),
    [
      'Thing/name',
      'Thing/code',
      'Thing/born',
      'Thing/age',
      'Thing/tags',
      'Thing/tags',
      'Thing/name',
      'Thing/notes/one',
    ],
  );
  const values = sealPlan(map, BODY).sites.map(({ value }) => ({ kind: 'open' as const, value }));
  assert.deepEqual(opened.apply(values), BODY);
});

test('[A4] a withheld member is left out, or null where the schema wants one; a mask never stands in a date', () => {
  const map = read(ALL, { required: ['name'] });
  const plan = openPlan(map, sealedBody(map, BODY));
  const withheld = plan.apply(plan.sites.map(() => ({ kind: 'withhold' })));
  assert.deepEqual(withheld, { id: '7', name: null, tags: [], parts: [{ name: null }], notes: {} });
  const masked = plan.apply(plan.sites.map(() => ({ kind: 'mask', value: '••••' })));
  assert.deepEqual(masked, {
    id: '7',
    name: '••••',
    code: '••••',
    tags: ['••••', '••••'],
    parts: [{ name: '••••' }],
    notes: { one: '••••' },
  });
});

test('[A5] bodies are held against the whole schema, views with holes against the rest of it', () => {
  const map = read({ ...ALL, size: { type: 'integer', minimum: 1 } }, { required: ['name', 'size'] });
  const { check, relaxed } = mapped(map, 'POST', 'response');
  assert.equal(check({ name: 'Ann', size: 3 }), undefined);
  assert.equal(check({ size: 3 }), 'required at /components/schemas/Thing (name)');
  assert.equal(check({ name: 7, size: 3 }), 'type at /components/schemas/Thing/properties/name');
  assert.equal(relaxed({ name: null, size: 3 }), undefined);
  assert.equal(relaxed({ size: 3 }), undefined);
  assert.equal(relaxed({ name: 'Ann', size: 0 }), 'minimum at /components/schemas/Thing/properties/size');
});

test('[A5] what only one side sends is wanted of that side alone', () => {
  const map = read({ id: text({ readOnly: true }), pin: text({ writeOnly: true }) }, { required: ['id', 'pin'] });
  assert.equal(mapped(map, 'POST', 'request').check({ pin: '1' }), undefined);
  assert.equal(mapped(map, 'POST', 'response').check({ id: '1' }), undefined);
  assert.notEqual(mapped(map, 'POST', 'request').check({}), undefined);
});

test('[E1] a member that identifies in one alternative is protected in all', () => {
  const map = read({ a: { anyOf: [text({ maxLength: 3 }), text({ 'x-phi': PHI })] } });
  assert.deepEqual(
    sealPlan(map, { a: 'x' }).sites.map(({ path }) => path),
    ['Thing/a'],
  );
});

test('[E1] nothing undescribed goes upstream, and nothing undescribed comes back', () => {
  const map = read(ALL);
  assert.throws(() => sealPlan(map, { id: '1', secret: 'x' }), { code: 'API_BODY_INVALID' });
  assert.throws(() => sealPlan(map, { id: { deep: 'x' } }), { code: 'API_BODY_INVALID' });
  assert.throws(() => sealPlan(map, { name: ['x'] }), { code: 'API_BODY_INVALID' });
  assert.deepEqual(openPlan(map, { id: '1', extra: 'x', parts: [{ extra: 1 }] }).apply([]), { id: '1', parts: [{}] });
});

test('[E1] marks of ours are refused in clear members and companions, and sealed like any other text elsewhere', () => {
  const map = read(ALL);
  const index = `kwi1${'a'.repeat(26)}`;
  for (const body of [
    { id: stored() },
    { id: TOKEN },
    { id: index },
    { codeSealed: stored() },
    { code: 'x', codeSealed: 'x' },
  ])
    assert.throws(() => sealPlan(map, body), { code: 'API_RESERVED_VALUE' }, JSON.stringify(body));
  assert.deepEqual(
    sealPlan(map, { name: stored(), code: index }).sites.map(({ value }) => value),
    [stored(), index],
  );
  assert.throws(() => sealPlan(map, { name: '••••1357' }), { code: 'ACCESS_PARTIAL_WRITE' });
});

test('[A4] a plan names what a body does not hold, object by object, so that holes can be told from wholes', () => {
  const Part: object = {
    type: 'object',
    properties: {
      code: text(),
      note: text({ 'x-phi': { class: 'label' } }),
      parts: list({ $ref: '#/components/schemas/Part' }),
    },
  };
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Whole' } } };
  const Whole = {
    type: 'object',
    properties: {
      name: text({ 'x-phi': PHI, nullable: true }),
      aliases: list(text({ 'x-phi': PHI })),
      ways: list({ type: 'object', properties: { value: text({ 'x-phi': { class: 'contact' } }) } }),
      part: { $ref: '#/components/schemas/Part' },
    },
  };
  const map = readOpenApi(
    {
      openapi: '3.1.0',
      paths: { '/wholes': { post: { requestBody: { content }, responses: { '201': {} } } } },
      components: { schemas: { Whole, Part } },
    },
    'shop',
  );
  const whole = { name: 'x', aliases: [], ways: [], part: { code: 'c', note: 'n', parts: [] } };
  const always = ['Part *[]', 'Whole name[]'];
  const cases: readonly (readonly [body: Json, partial: boolean, absent: readonly string[]])[] = [
    [whole, false, always],
    [{ ...whole, name: null }, false, ['Whole name', ...always]],
    [{ ...whole, ways: [{}] }, false, ['Whole contact', ...always]],
    [{ ...whole, part: { code: 'c' } }, false, ['Part *', 'Part label', 'Whole name[]']],
    [{ ...whole, part: null }, false, ['Part *', 'Part label', 'Whole name[]']],
    [{}, false, ['Part *', 'Part label', 'Whole contact', 'Whole name']],
    [{}, true, []],
    [{ part: {} }, true, []],
    [{ part: null, name: null }, true, ['Part * said', 'Part label said', 'Whole name said']],
    [{ part: { parts: [{ code: 'c' }] } }, true, ['Part *', 'Part *[]', 'Part label']],
  ];
  for (const [body, partial, expected] of cases) {
    const absent = sealPlan(map, body, { type: 'Whole', partial }).absent.map(
      ({ type, fieldClass = '*', entries, stated }) =>
        `${type} ${fieldClass}${entries ? '[]' : ''}${stated ? ' said' : ''}`,
    );
    assert.deepEqual(absent.toSorted(), expected.toSorted(), JSON.stringify(body));
  }
});

test('[A4] what may not be shown of an answer is left out whole, with what is inside, wherever it stands', () => {
  const thing = { $ref: '#/components/schemas/Thing' };
  const map = read({
    name: text({ 'x-phi': PHI }),
    inner: thing,
    things: list(thing),
    byName: { type: 'object', additionalProperties: thing },
  });
  const body = { name: stored(), inner: { name: stored(), inner: {} }, things: [{}, { inner: {} }], byName: { a: {} } };
  const plan = openPlan(map, body);
  assert.deepEqual(
    plan.objects.map(({ around }) => around),
    [0, 0, 1, 2, 1, 1, 5, 1],
  );
  const showing = (...hidden: number[]) =>
    plan.apply([{ kind: 'withhold' }, { kind: 'open', value: 'x' }], (object) => !hidden.includes(object));
  assert.deepEqual(showing(), { inner: { name: 'x', inner: {} }, things: [{}, { inner: {} }], byName: { a: {} } });
  assert.deepEqual(showing(2, 4, 7), { things: [{ inner: {} }], byName: {} });
  assert.equal(showing(1), undefined);
});

test('[E1] what an upstream may not have made of a sealed body is tampering, or plaintext that is not shown', () => {
  const map = read(ALL);
  const other = stored({ ...ROOT, objectId: SUBJECT_ROOT.scope });
  const index = `kwi1${'a'.repeat(26)}`;
  const lies: readonly (readonly [Json, string])[] = [
    [{ name: 'Ann' }, 'GATEWAY_UPSTREAM_UNSEALED'],
    [{ name: 7 }, 'GATEWAY_UPSTREAM_UNSEALED'],
    [{ code: 'X-1' }, 'GATEWAY_UPSTREAM_UNSEALED'],
    [{ code: 'X-1', codeSealed: stored() }, 'GATEWAY_UPSTREAM_UNSEALED'],
    [{ age: 44, ageSealed: stored() }, 'GATEWAY_UPSTREAM_UNSEALED'],
    [{ code: index }, 'SEAL_NOT_AUTHENTIC'],
    [{ code: index, codeSealed: 'X-1' }, 'SEAL_NOT_AUTHENTIC'],
    [{ name: stored(), tags: [other] }, 'SEAL_NOT_AUTHENTIC'],
    [{ name: stored(), tags: [stored(SUBJECT_ROOT)] }, 'SEAL_NOT_AUTHENTIC'],
    [{ id: stored() }, 'SEAL_NOT_AUTHENTIC'],
    [{ id: index }, 'SEAL_NOT_AUTHENTIC'],
    [{ name: 'kw1j.AAAA.AAAA' }, 'SEAL_NOT_AUTHENTIC'],
  ];
  for (const [body, code] of lies) assert.throws(() => openPlan(map, body), { code }, JSON.stringify(body));
});

test('[E1] whose record an object is comes from itself, from the object around it, or from the address', () => {
  const map = read({ ...ALL, owner: text() }, { 'x-phi-subject': '/owner' });
  assert.throws(() => sealPlan(map, { name: 'x' }), { code: 'API_SUBJECT_MISSING' });
  assert.deepEqual(sealPlan(map, { id: 'nothing to seal' }).sites, []);
  const nested = sealPlan(map, { owner: 'p1', name: 'x', parts: [{ name: 'y' }, { owner: 'p2', name: 'z' }] });
  assert.deepEqual(
    nested.sites.map(({ object }) => nested.objects[object]?.subject),
    ['p1', 'p1', 'p2'],
  );
  const addressed = sealPlan(map, { name: 'x' }, { subject: 'p3' });
  assert.deepEqual(
    addressed.sites.map(({ object }) => addressed.objects[object]?.subject),
    ['p3'],
  );
  assert.throws(() => sealPlan(map, { owner: 'p1' }, { subject: 'p3' }), { code: 'API_BODY_INVALID' });
  const { node } = mapped(map, 'POST', 'response');
  const answer = { node, body: { owner: 'p1' }, type: 'Thing', subject: 'p3', partlyWritten: new Set<string>() };
  assert.throws(() => planJsonOpen(answer), { code: 'API_RESPONSE_INVALID' });
});

test('[E1] a map file says the same by pointers; what it does not list is refused', () => {
  const map = readMapFile(
    {
      version: 1,
      objects: {
        Thing: {
          subject: '/id',
          members: {
            '/id': 'clear',
            '/code': { class: 'identifier', treatment: 'index', index: 'identifier' },
            '/contacts/*/value': { class: 'contact' },
            '/contacts/*/kind': 'clear',
            '/born': { class: 'birthDate', treatment: 'year', format: 'date' },
          },
        },
      },
      operations: {
        'POST /things': { request: { '': 'Thing' }, response: { '': 'Thing' } },
        'GET /things': {
          query: { code: { class: 'identifier', treatment: 'index', index: 'identifier' }, page: 'clear' },
          response: { '/items/*': 'Thing', '/total': 'clear' },
        },
        'GET /things/{id}': { response: { '': 'Thing' } },
        'DELETE /things/{id}': {},
      },
    },
    'shop',
  );
  const body = { id: '7', code: 'X-1', contacts: [{ kind: 'k', value: 'v' }], born: '1980-05-12' };
  assert.deepEqual(
    sealPlan(map, body).sites.map(({ path }) => path),
    ['Thing/code', 'Thing/contacts/value', 'Thing/born'],
  );
  assert.notEqual(mapped(map, 'POST', 'request').check({ ...body, other: 1 }), undefined);
  assert.deepEqual(
    map.operations.map(({ name, type, interaction }) => [name, type, interaction].join(' ')).toSorted(),
    [
      'DELETE /things/{id} Thing delete',
      'GET /things Thing search',
      'GET /things/{id} Thing read',
      'POST /things Thing create',
    ],
  );
  assert.throws(() => readMapFile({ version: 1, objects: {}, operations: { 'GET /a': { responses: {} } } }, 'shop'), {
    code: 'API_MAP_INVALID',
  });
});
