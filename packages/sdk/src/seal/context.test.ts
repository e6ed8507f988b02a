/** Contexts: two different ones never have the same bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CONTEXT } from '../../vectors/cases.ts';
import { contextBytes, type FieldContext } from './index.ts';
import { ContextWriter } from './context.ts';

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
  .filter((candidate) => candidate.isWellFormed());
const few = fc.constantFrom('a', 'aa', 'b', 'ab', '\0', '\0\0\0\u0001a');
const member = fc.oneof(few, text);
const context: fc.Arbitrary<FieldContext> = fc.record({
  tenant: member,
  scope: member,
  objectType: member,
  objectId: member,
  path: member,
  datatype: member,
  fieldClass: member,
});

test('[E1] contexts have the same bytes only when they are equal', () => {
  fc.assert(
    fc.property(context, context, (one, other) => {
      const equal = JSON.stringify(one) === JSON.stringify(other);
      assert.equal(contextBytes(one).equals(contextBytes(other)), equal);
    }),
  );
});

test('[E1] a writer that keeps the part of the object writes what a fresh one writes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), context), { maxLength: 20 }), (steps) => {
      const writer = new ContextWriter();
      let previous = CONTEXT;
      for (const [sameObject, next] of steps) {
        const { path, datatype, fieldClass } = next;
        previous = sameObject ? { ...previous, path, datatype, fieldClass } : next;
        assert.deepEqual(Buffer.from(writer.write(previous)), contextBytes(previous));
      }
    }),
  );
});

test('[E1] a long path is written whole', () => {
  const path = 'é'.repeat(10_000);
  const bytes = contextBytes({ ...CONTEXT, path });
  assert.ok(bytes.includes(Buffer.from(path)));
  assert.deepEqual(contextBytes(CONTEXT).subarray(0, 100), bytes.subarray(0, 100));
});

/** Differs from CONTEXT in every member, so that a half-written one leaves traces. */
const OTHER = Object.fromEntries(Object.keys(CONTEXT).map((name) => [name, `other ${name}`]));

test('[E1] a context member that is missing, empty or not text in Unicode is refused, and the writer stays usable', () => {
  const writer = new ContextWriter();
  for (const name of Object.keys(CONTEXT)) {
    for (const bad of ['', '\ud800', undefined, 7]) {
      const broken = { ...OTHER, [name]: bad } as unknown as FieldContext;
      assert.throws(() => writer.write(broken), { name: 'SealError', code: 'SEAL_VALUE_UNSUPPORTED' }, name);
      assert.deepEqual(Buffer.from(writer.write(CONTEXT)), contextBytes(CONTEXT));
    }
  }
});
