/** Tests of JSON Patch: the cases of RFC 6902, another implementation as an oracle, and what must fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import * as fc from 'fast-check';
import { applyPatch as oracle, type Operation } from 'rfc6902';
import { KeywardError, parseJson } from '../core/index.ts';
import { applyPatch, readPatch } from './patch.ts';

const MAX_BYTES = 10_000;
const patched = (document: Json, operations: Json): Json => applyPatch(document, readPatch(operations), MAX_BYTES);
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof KeywardError) return `${error.code} ${error.detail ?? ''}`;
    throw error;
  }
  return 'none';
};

const DOES: readonly (readonly [what: string, document: Json, patch: Json, result: Json])[] = [
  ['A.1 adds a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
  [
    'A.2 adds to a list',
    { foo: ['bar', 'baz'] },
    [{ op: 'add', path: '/foo/1', value: 'qux' }],
    { foo: ['bar', 'qux', 'baz'] },
  ],
  ['A.3 removes a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
  [
    'A.4 removes from a list',
    { foo: ['bar', 'qux', 'baz'] },
    [{ op: 'remove', path: '/foo/1' }],
    { foo: ['bar', 'baz'] },
  ],
  ['A.5 replaces', { baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
  ['A.6 moves', { a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
  [
    'A.7 moves within a list',
    { foo: ['a', 'b', 'c', 'd'] },
    [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
    { foo: ['a', 'c', 'd', 'b'] },
  ],
  ['A.8 tests', { foo: ['a', 2, 'c'] }, [{ op: 'test', path: '/foo/1', value: 2 }], { foo: ['a', 2, 'c'] }],
  [
    'A.10 adds an object',
    { foo: 'bar' },
    [{ op: 'add', path: '/child', value: { g: {} } }],
    { foo: 'bar', child: { g: {} } },
  ],
  [
    'A.11 leaves unknown members alone',
    { foo: 'bar' },
    [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }],
    { foo: 'bar', baz: 'qux' },
  ],
  [
    'A.14 unescapes ~1 before ~0',
    { '/': 9, '~1': 10 },
    [{ op: 'test', path: '/~01', value: 10 }],
    { '/': 9, '~1': 10 },
  ],
  ['A.16 appends a list', { foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
  [
    'copies',
    { a: [1] },
    [
      { op: 'copy', from: '/a', path: '/b' },
      { op: 'add', path: '/b/0', value: 2 },
    ],
    { a: [1], b: [2, 1] },
  ],
  ['moves to where it is', { a: 1 }, [{ op: 'move', from: '/a', path: '/a' }], { a: 1 }],
  ['replaces the whole', { a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ['replaces by null', { a: 1 }, [{ op: 'replace', path: '/a', value: null }], { a: null }],
];

test('[E1] a patch does what RFC 6902 says, and leaves the original as it was', () => {
  for (const [what, document, patch, result] of DOES) {
    const before = JSON.stringify(document);
    assert.deepEqual(patched(document, patch), result, what);
    assert.equal(JSON.stringify(document), before, what);
  }
});

const FAILS: readonly (readonly [what: string, document: Json, patch: Json, code: string])[] = [
  ['no list', {}, { op: 'add' }, 'FHIR_PATCH_INVALID '],
  ['an empty list', {}, [], 'FHIR_PATCH_INVALID '],
  ['no object', {}, ['add'], 'FHIR_PATCH_INVALID Operation 0'],
  ['an unknown op', {}, [{ op: 'spam', path: '/a' }], 'FHIR_PATCH_INVALID Operation 0'],
  ['no op', {}, [{ path: '/a' }], 'FHIR_PATCH_INVALID Operation 0'],
  ['no path', {}, [{ op: 'remove' }], 'FHIR_PATCH_INVALID Operation 0'],
  ['a path without a slash', {}, [{ op: 'add', path: 'a', value: 1 }], 'FHIR_PATCH_INVALID Operation 0'],
  ['a wrong escape', {}, [{ op: 'add', path: '/a~2', value: 1 }], 'FHIR_PATCH_INVALID Operation 0'],
  [
    'no value',
    {},
    [
      { op: 'test', path: '', value: {} },
      { op: 'add', path: '/a' },
    ],
    'FHIR_PATCH_INVALID Operation 1',
  ],
  ['no from', {}, [{ op: 'move', path: '/a' }], 'FHIR_PATCH_INVALID Operation 0'],
  ['a way into the prototype', {}, [{ op: 'add', path: '/__proto__/x', value: 1 }], 'FHIR_PATCH_INVALID Operation 0'],
  ['a from in the prototype', {}, [{ op: 'copy', from: '/__proto__', path: '/a' }], 'FHIR_PATCH_INVALID Operation 0'],
  [
    'too many',
    {},
    Array.from({ length: 1_001 }, () => ({ op: 'test', path: '', value: {} })),
    'FHIR_PATCH_INVALID At most',
  ],
  [
    'A.9 a test of another value',
    { baz: 'qux' },
    [{ op: 'test', path: '/baz', value: 'bar' }],
    'FHIR_PATCH_FAILED Operation 0',
  ],
  [
    'A.12 nothing to add to',
    { foo: 'bar' },
    [{ op: 'add', path: '/baz/bat', value: 1 }],
    'FHIR_PATCH_FAILED Operation 0',
  ],
  ['A.15 a number and a text', { a: 10 }, [{ op: 'test', path: '/a', value: '10' }], 'FHIR_PATCH_FAILED Operation 0'],
  ['nothing to remove', {}, [{ op: 'remove', path: '/a' }], 'FHIR_PATCH_FAILED Operation 0'],
  ['nothing to replace', {}, [{ op: 'replace', path: '/a', value: 1 }], 'FHIR_PATCH_FAILED Operation 0'],
  ['the whole removed', {}, [{ op: 'remove', path: '' }], 'FHIR_PATCH_FAILED Operation 0'],
  ['into itself', { a: {} }, [{ op: 'move', from: '/a', path: '/a/b' }], 'FHIR_PATCH_FAILED Operation 0'],
  ['beyond a list', { a: [1] }, [{ op: 'add', path: '/a/2', value: 1 }], 'FHIR_PATCH_FAILED Operation 0'],
  ['a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }], 'FHIR_PATCH_FAILED Operation 0'],
  ['the end of a list', { a: [1] }, [{ op: 'remove', path: '/a/-' }], 'FHIR_PATCH_FAILED Operation 0'],
  [
    'the length of a list',
    { a: [1] },
    [{ op: 'replace', path: '/a/length', value: 0 }],
    'FHIR_PATCH_FAILED Operation 0',
  ],
  [
    'what every object inherits',
    {},
    [{ op: 'copy', from: '/constructor', path: '/a' }],
    'FHIR_PATCH_FAILED Operation 0',
  ],
  ['inside a text', { a: 'x' }, [{ op: 'add', path: '/a/0', value: 1 }], 'FHIR_PATCH_FAILED Operation 0'],
];

test('[E1] what does not fit is refused with its position, and nothing else is told', () => {
  for (const [what, document, patch, code] of FAILS)
    assert.ok(
      codeOf(() => patched(document, patch)).startsWith(code),
      `${what}: ${codeOf(() => patched(document, patch))}`,
    );
});

test('[E1] decimals keep their digits through a patch, and are compared as numbers', () => {
  const parsed = (text: string): Json => parseJson(Buffer.from(text));
  const document = parsed('{"a":1.50,"b":[12345678901234567890.10],"c":0.00}');
  const patch = parsed(`[
    {"op":"test","path":"/a","value":1.5},
    {"op":"test","path":"/b","value":[12345678901234567890.1]},
    {"op":"test","path":"/c","value":-0},
    {"op":"test","path":"/a","value":15e-1},
    {"op":"copy","from":"/a","path":"/d"},
    {"op":"add","path":"/e","value":7.00}]`);
  assert.equal(
    JSON.stringify(patched(document, patch)),
    '{"a":1.50,"b":[12345678901234567890.10],"c":0.00,"d":1.50,"e":7.00}',
  );
  const other = parsed('[{"op":"test","path":"/b/0","value":12345678901234567890.2}]');
  assert.match(
    codeOf(() => patched(document, other)),
    /^FHIR_PATCH_FAILED/,
  );
  assert.match(
    codeOf(() => patched(document, [{ op: 'add', path: '/a/rawJSON', value: '9' }])),
    /^FHIR_PATCH_FAILED/,
  );
});

test('[E1] copies of copies do not grow without bound', () => {
  const doubling = Array.from({ length: 60 }, (_, index) => ({ op: 'copy', from: '', path: `/a${index}` }));
  assert.match(
    codeOf(() => patched({ text: 'x'.repeat(50) }, doubling)),
    /^GATEWAY_BODY_TOO_LARGE/,
  );
});

const name = fc.constantFrom('a', 'b', '0', '1', '-');
const value = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Json>(null, true, 0, 1, 'x'),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b'), tie('json'), { maxKeys: 2, noNullPrototype: true }) as fc.Arbitrary<Json>,
  ),
})).json;
const pointer = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path: pointer, value }),
  fc.record({ op: fc.constant('remove'), path: pointer }),
  fc.record({ op: fc.constantFrom('copy', 'move'), path: pointer, from: pointer }),
);

test('[E1] whatever this applies, another implementation applies to the same end', () => {
  let applied = 0;
  const document = fc.record({ a: value, b: value }, { noNullPrototype: true }) as unknown as fc.Arbitrary<Json>;
  fc.assert(
    fc.property(document, operation, (start, one) => {
      const outcome = codeOf(() => patched(start, [one]));
      if (outcome !== 'none') return;
      applied++;
      const theirs = { root: structuredClone(start) };
      const below = (path: string) => `/root${path}`;
      const moved = { ...one, path: below(one.path), ...('from' in one ? { from: below(one.from) } : {}) };
      assert.deepEqual(oracle(theirs, [moved as Operation]), [null]);
      assert.deepEqual(patched(start, [one]), theirs.root);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(applied > 200, `only ${applied} patches were applied`);
});

test('[A5] a patch makes nothing that is too deep to be read again, and no number holds it up', () => {
  const nest = { op: 'add', path: '/a', value: {} };
  const deeper = Array.from({ length: 70 }, (_, depth) => ({ ...nest, path: '/a'.repeat(depth + 1) }));
  assert.match(
    codeOf(() => patched({}, deeper.slice(0, 63))),
    /^none/,
  );
  assert.match(
    codeOf(() => patched({}, deeper)),
    /^FHIR_PATCH_INVALID Operation 64: path is longer/,
  );
  const inOneGo = [...deeper.slice(0, 40), { ...nest, path: '/b', value: {} }];
  const moved = [...inOneGo, { op: 'copy', from: '/a', path: `${'/a'.repeat(40)}/x` }];
  assert.match(
    codeOf(() => patched({}, moved)),
    /^JSON_TOO_DEEP/,
  );
  const endless = JSON.rawJSON(`1e${'9'.repeat(1_000_000)}`) as Json;
  assert.match(
    codeOf(() => patched({ a: 1 }, [{ op: 'test', path: '/a', value: endless }])),
    /^FHIR_PATCH_FAILED/,
  );
});

test('[A6] an operation costs what it changes, not what the resource holds', () => {
  const members = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`m${index}`, index]));
  const patch = [
    { op: 'add', path: '/x', value: members },
    ...Array.from({ length: 900 }, () => ({ op: 'add', path: '/x/z', value: 1 })),
  ];
  const startedMs = performance.now();
  const { x } = patched({}, patch) as { x: object };
  assert.equal(Object.keys(x).length, 100_001);
  // Copying the members once for each operation took minutes.
  assert.ok(performance.now() - startedMs < 10_000);
});
