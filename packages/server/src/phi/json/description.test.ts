/** What a description of a JSON API may not say: where its parts contradict each other, nothing is started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMapFile } from './map-file.ts';
import { readOpenApi } from './openapi.ts';

type Tree = { readonly [name: string]: unknown };

const NAME = { type: 'string', 'x-phi': { class: 'name' } };
const CLEAR = { type: 'string' };
const SSN_PHI = { class: 'identifier', treatment: 'index', index: 'identifier' };
const SSN = { ssn: { type: 'string', 'x-phi': SSN_PHI }, ssnSealed: CLEAR };
const PHI = { class: 'name' };
const text = (more: object = {}) => ({ type: 'string', ...more });
const of = (schema: object) => ({ content: { 'application/json': { schema } } });
const named = (name: string) => of({ $ref: `#/components/schemas/${name}` });
const ID = [{ in: 'path', name: 'id', required: true, schema: CLEAR }];
const person = (properties: object, more: object = {}) => ({
  type: 'object',
  'x-phi-object': 'Person',
  properties,
  ...more,
});

/** People are created as Person, and replaced as another view of them. */
const people = (schemas: Tree, more: Tree = {}, put: Tree = {}): Tree => ({
  openapi: '3.1.0',
  paths: {
    '/people': { post: { requestBody: named('Person'), responses: { '201': named('Person') } } },
    '/people/{id}': {
      parameters: ID,
      put: { requestBody: named('View'), responses: { '204': {} }, ...put },
      ...more,
    },
  },
  components: { schemas },
});
const refused = (description: unknown, detail: RegExp, what: string) =>
  assert.throws(
    () => readOpenApi(description, 'shop'),
    (error: Error & { code?: string }) => error.code === 'API_MAP_INVALID' && detail.test(error.message),
    what,
  );

const WHOLE = { id: CLEAR, first: NAME, ...SSN, pets: { type: 'array', items: person({ first: NAME }) } };

test('[A5] a description that leaves open what identifies, or that is not understood, is refused by place', () => {
  const few = { class: 'label', treatment: 'index', index: 'given' };
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['an unknown member of x-phi', { a: text({ 'x-phi': { class: 'name', hidden: true } }) }, /hidden/],
    ['an unknown class', { a: text({ 'x-phi': { class: 'secret' } }) }, /class/],
    ['an index on what has few values', { a: text({ enum: ['x'], 'x-phi': few }), aSealed: text() }, /few values/],
    ['an index without its companion', { a: text({ 'x-phi': few }) }, /aSealed/],
    ['an index in a list', { a: { type: 'array', items: text({ 'x-phi': few }) } }, /use seal/],
    ['a sealed number the upstream would not take', { a: { type: 'number', 'x-phi': PHI } }, /upstreamType/],
    [
      'a year of what is no date',
      { a: text({ 'x-phi': { class: 'birthDate', treatment: 'year' } }), aSealed: text() },
      /format/,
    ],
    ['x-phi on an object', { a: { type: 'object', properties: {}, 'x-phi': PHI } }, /object/],
    ['two types', { a: { type: ['string', 'number'], 'x-phi': PHI } }, /one type/],
    ['an unknown keyword', { a: text({ patternProperties: {} }) }, /patternProperties/],
    ['an unknown format', { a: text({ format: 'shoe-size' }) }, /shoe-size/],
    ['a foreign reference', { a: { $ref: 'https://evil.example/schema' } }, /same file/],
    ['a reference into nowhere', { a: { $ref: '#/components/schemas/Missing' } }, /nowhere/],
    ['a reference in circles', { a: { $ref: '#/components/schemas/Person/properties/a' } }, /circles/],
    [
      'alternatives that disagree',
      { a: { oneOf: [text({ 'x-phi': PHI }), text({ 'x-phi': { class: 'label' } })] } },
      /otherwise/,
    ],
    ['a misspelt extension', { a: text({ 'x-phy': PHI, 'x-phi-class': 'name' }) }, /x-phi-class/],
  ];
  const plain = person({ id: CLEAR });
  for (const [what, properties, detail] of cases)
    refused(people({ Person: person(properties), View: plain }), detail, what);
  const parameters = [...ID, { in: 'path', name: 'ssn', schema: text({ 'x-phi': few }) }];
  refused(people({ Person: person(WHOLE), View: plain }, {}, { parameters }), /opaque id/, 'x-phi in a path');
  refused(people({ Person: person({ a: NAME }, { 'x-phi-subject': '/a' }), View: plain }), /without x-phi/, 'subject');
});

test('[E1] two schemas of one object must protect each member alike, wherever it stands; both places are named', () => {
  const cases: readonly (readonly [what: string, view: Tree])[] = [
    ['clear in one', { ssn: CLEAR }],
    ['another class', { first: { type: 'string', 'x-phi': { class: 'label' } } }],
    ['another system', { ...SSN, ssn: { type: 'string', 'x-phi': { ...SSN_PHI, system: 'urn:other' } } }],
    ['another index', { ...SSN, ssn: { type: 'string', 'x-phi': { ...SSN_PHI, index: 'phone' } } }],
    ['another treatment', { ssn: { type: 'string', 'x-phi': { class: 'identifier' } } }],
    ['another type', { first: { type: 'integer', 'x-phi': { class: 'name', upstreamType: 'string' } } }],
    ['a list of clear values', { first: { type: 'array', items: CLEAR } }],
    ['an object', { first: { type: 'object', properties: { given: CLEAR } } }],
    ['clear in a list', { pets: { type: 'array', items: person({ first: CLEAR }) } }],
    ['a value where a list of protected ones is', { pets: CLEAR }],
    ['another object', { pets: { type: 'array', items: { ...person({ first: NAME }), 'x-phi-object': 'Pet' } } }],
    ['a ciphertext that clients write', { ssnSealed: CLEAR }],
  ];
  for (const [what, view] of cases) {
    const description = people({ Person: person(WHOLE), View: person({ id: CLEAR, ...view }) });
    refused(description, /schemas\/View.*schemas\/Person|schemas\/Person.*schemas\/View/, what);
  }
  const map = { ...person({ id: CLEAR }), additionalProperties: CLEAR };
  refused(people({ Person: person(WHOLE), View: map }), /View/, 'clear as one of further members');
  const some = people({ Person: person(WHOLE), View: person({ id: CLEAR, ...SSN }) });
  assert.equal(readOpenApi(some, 'shop').operations.length, 2);
});

test('[E1] a request without a named schema is a view of what its operation is about', () => {
  const inline = { 'x-phi-object': 'Person', requestBody: of({ type: 'object', properties: { ssn: CLEAR } }) };
  refused(people({ Person: person(WHOLE), View: person({}) }, {}, inline), /paths.*schemas\/Person/, 'inline');
  const list = { ...inline, requestBody: of({ type: 'array', items: { type: 'object', properties: { ssn: CLEAR } } }) };
  refused(people({ Person: person(WHOLE), View: person({}) }, {}, list), /paths.*schemas\/Person/, 'inline list');
  const other = { requestBody: of({ type: 'object', 'x-phi-object': 'Form', properties: { ssn: CLEAR } }) };
  assert.ok(readOpenApi(people({ Person: person(WHOLE), View: person({}) }, {}, other), 'shop'));
});

test('[E1] schemas that contain themselves are compared to their end', () => {
  const tree = (name: string, label: object) => ({
    ...person({ label, children: { type: 'array', items: { $ref: `#/components/schemas/${name}` } } }),
  });
  refused(people({ Person: tree('Person', NAME), View: tree('View', CLEAR) }), /label/, 'a tree');
  assert.ok(readOpenApi(people({ Person: tree('Person', NAME), View: tree('View', NAME) }), 'shop'));
});

test('[E1] where an object has a subject anywhere, every write of it has one', () => {
  const whole = person({ id: CLEAR, first: NAME }, { 'x-phi-subject': '/id' });
  const part = person({ first: NAME });
  refused(people({ Person: whole, View: part }), /View.*has a subject|subject.*View/, 'a view without one');
  assert.ok(readOpenApi(people({ Person: whole, View: part }, {}, { 'x-phi-subject': '{id}' }), 'shop'));
  assert.ok(readOpenApi(people({ Person: whole, View: person({ id: CLEAR }) }), 'shop'), 'nothing to seal');
  const other = person({ id: CLEAR, owner: CLEAR, first: NAME }, { 'x-phi-subject': '/owner' });
  refused(people({ Person: whole, View: other }), /another member as its subject/, 'another member');
  const byAddress = { get: { 'x-phi-subject': '{id}', responses: { '200': named('Person') } } };
  refused(people({ Person: part, View: part }, byAddress), /has a subject/, 'only the read says whose it is');
});

const searching = (parameters: readonly object[], properties: object = WHOLE) => ({
  openapi: '3.1.0',
  paths: {
    '/people': { get: { parameters, responses: { '200': of({ type: 'array', items: person(properties) }) } } },
  },
});
const query = (name: string, phi?: object, more: object = {}) => ({
  in: 'query',
  name,
  schema: CLEAR,
  ...(phi ? { 'x-phi': phi } : {}),
  ...more,
});

test('[E7] a parameter has class, index and system of the member it searches', () => {
  const city = { class: 'address', treatment: 'index', index: 'city' };
  const properties = {
    ...WHOLE,
    home: { type: 'object', properties: { city: { type: 'string', 'x-phi': city }, citySealed: CLEAR, value: CLEAR } },
    contacts: { type: 'array', items: { type: 'object', properties: { value: NAME } } },
  };
  const cases: readonly (readonly [what: string, parameter: object, detail: RegExp])[] = [
    ['another class', query('ssn', { ...SSN_PHI, class: 'label' }), /class, index and system/],
    ['another index', query('ssn', { ...SSN_PHI, index: 'phone' }), /class, index and system/],
    ['another system', query('ssn', { ...SSN_PHI, system: 'urn:other' }), /class, index and system/],
    ['no x-phi', query('ssn'), /class, index and system/],
    ['no x-phi, deep inside', query('city'), /class, index and system/],
    ['what has no index', query('first', { class: 'name', treatment: 'index', index: 'given' }), /class, index/],
    ['a name of its own', query('number', SSN_PHI), /x-phi-member/],
    ['another class by x-phi-member', query('n', city, { 'x-phi-member': '/ssn' }), /class, index and system/],
    ['a clear member', query('n', SSN_PHI, { 'x-phi-member': '/id' }), /x-phi-member/],
    ['a member that is not there', query('n', SSN_PHI, { 'x-phi-member': '/none' }), /no such member/],
    ['no pointer', query('n', SSN_PHI, { 'x-phi-member': 'ssn' }), /pointer/],
    ['a misspelt extension', query('n', undefined, { 'x-phi-membre': '/ssn' }), /x-phi-membre/],
    ['a misspelt keyword', query('n', undefined, { schema: { type: 'string', minLengthh: 3 } }), /minLengthh/],
  ];
  for (const [what, parameter, detail] of cases) refused(searching([parameter], properties), detail, what);
  const good = [
    query('ssn', SSN_PHI),
    query('number', SSN_PHI, { 'x-phi-member': '/ssn' }),
    query('city', city),
    query('town', city, { 'x-phi-member': '/home/city' }),
    query('value', undefined, { 'x-phi-member': '/home/value' }),
    query('page'),
  ];
  assert.equal(readOpenApi(searching(good, properties), 'shop').operations[0]?.query.size, good.length);
});

test('[E7] no address is made of a protected member', () => {
  const description = {
    openapi: '3.1.0',
    paths: {
      '/people/{ssn}': {
        parameters: [{ in: 'path', name: 'ssn', required: true, schema: CLEAR }],
        get: { responses: { '200': of(person(WHOLE)) } },
      },
    },
  };
  refused(description, /class, index and system/, 'a path parameter');
});

test('[E7] a map file names the member that a parameter of another name searches', () => {
  const map = (parameter: object) => ({
    version: 1,
    objects: { Person: { members: { '/ssn': SSN_PHI } } },
    operations: { 'GET /people': { query: { number: parameter }, response: { '/*': 'Person' } } },
  });
  assert.throws(() => readMapFile(map(SSN_PHI), 'shop'), { code: 'API_MAP_INVALID', message: /x-phi-member/ });
  assert.ok(readMapFile(map({ ...SSN_PHI, member: '/ssn' }), 'shop'));
});

test('[A5] a map file whose pointers contradict each other is refused', () => {
  const map = (members: object) => ({
    version: 1,
    objects: { Person: { members } },
    operations: { 'POST /people': { request: { '': 'Person' } } },
  });
  for (const members of [
    { '/a': 'clear', '/a/b': { class: 'name' } },
    { '/a/*/b': 'clear', '/a/c': { class: 'name' } },
  ])
    assert.throws(() => readMapFile(map(members), 'shop'), { code: 'API_MAP_INVALID' }, JSON.stringify(members));
});

test('[A5] two operations never share an address', () => {
  const paths = (...names: string[]) => ({
    openapi: '3.1.0',
    paths: Object.fromEntries(
      names.map((name) => [
        name,
        {
          parameters: [...name.matchAll(/\{(\w+)\}/g)].map(([, found]) => ({ in: 'path', name: found, schema: CLEAR })),
          get: { 'x-phi-object': 'Thing', responses: { '204': {} } },
        },
      ]),
    ),
  });
  for (const [one, two] of [
    ['/a', '/a/'],
    ['/a/{x}', '/a/{y}'],
    ['/a/{x}', '/a/{x}/'],
    ['/{x}/b', '/a/{y}'],
  ] as const)
    refused(paths(one, two), /addresses/, `${one} ${two}`);
  refused(paths('/a/{x}/{x}'), /twice/, 'one parameter in two places');
  assert.equal(
    readOpenApi(paths('/a', '/{x}', '/a/b', '/a/{x}', '/{x}/c/d', '/a/c/{y}/e'), 'shop').operations.length,
    6,
  );
});

test('[A5] keywords have the values that JSON Schema takes; others are refused by place', () => {
  const wrong: readonly object[] = [
    { pattern: '[' },
    { enum: 'abc' },
    { enum: [] },
    { type: 'strnig' },
    { type: [] },
    { required: 'x' },
    { minLength: 'abc' },
    { minLength: -1 },
    { multipleOf: 0 },
    { additionalProperties: 'yes' },
    { allOf: [] },
    { properties: [] },
    { properties: { x: true } },
    { items: 'x' },
    { format: 7 },
    { uniqueItems: 'yes' },
    { uniqueItems: true },
    { uniqueItems: true, maxItems: 1001 },
    { minimum: '1' },
    { exclusiveMinimum: true },
    { nullable: true },
    { type: 'object', properties: {}, required: ['a', 'a'] },
  ];
  for (const schema of wrong)
    refused(people({ Person: person({ x: schema }), View: person({}) }), /Person/, JSON.stringify(schema));
  const system = { ...SSN, ssn: { type: 'string', 'x-phi': { ...SSN_PHI, system: 'a\0b' } } };
  refused(people({ Person: person(system), View: person({}) }), /system/, 'a system that no index can have');
});

test('[A5] a misspelt extension of ours is refused wherever it stands', () => {
  const plain = { Person: person(WHOLE), View: person({ id: CLEAR }) };
  for (const misspelt of ['x-Phi', 'X-PHI-subject', 'x-phi-subjct', 'x-phi-member'])
    refused(people({ ...plain, View: person({}, { [misspelt]: '/id' }) }), /not supported/, `schema ${misspelt}`);
  for (const misspelt of ['x-phi', 'x-phi-subjct', 'x-Phi-subject']) {
    refused(people(plain, {}, { [misspelt]: '{id}' }), /not supported/, `operation ${misspelt}`);
    refused(people(plain, { [misspelt]: '{id}' }), /not supported/, `path ${misspelt}`);
  }
  assert.ok(readOpenApi(people(plain, { 'x-other': 1 }, { 'x-other': 1 }), 'shop'));
});

test('[A5] a description that contains itself by an alias is refused', () => {
  const schema: { type: string; properties: Record<string, unknown> } = { type: 'object', properties: {} };
  schema.properties['inner'] = schema;
  refused(people({ Person: schema, View: person({}) }), /contains itself/, 'a cycle');
});
