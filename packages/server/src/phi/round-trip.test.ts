/** Properties of the trip there and back, for resources nobody thought of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Json } from '@keyward/sdk/seal';
import type { FhirResource } from './index.ts';
import { open, seal } from './test-support.ts';

/** Objects as JSON.parse makes them. */
const PLAIN = { noNullPrototype: true };
const text = fc.string({ minLength: 1, unit: 'grapheme' });
const day = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));
const digits = fc
  .tuple(fc.integer(), fc.nat(999))
  .map(([whole, part]) => JSON.rawJSON(`${whole}.${String(part).padStart(3, '0')}0`) as unknown as Json);
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc
    .record(model, { requiredKeys: [], noNullPrototype: true })
    .filter((value) => Object.keys(value as object).length > 0);

const extension = fc.oneof(
  fc.record({ url: fc.webUrl(), valueString: text }, PLAIN),
  fc.record({ url: fc.webUrl(), valueDecimal: digits }, PLAIN),
  fc.record({ url: fc.webUrl(), valueDate: day }, PLAIN),
  fc.record({ url: fc.webUrl(), valueBoolean: fc.boolean() }, PLAIN),
);
const extensions = fc.array(extension, { minLength: 1, maxLength: 2 });
const beside = some({ extension: extensions, id: fc.uuid() });

/** `given` and `_given` with holes on both sides, never on the same place. */
const given = fc
  .array(fc.oneof(fc.tuple(text, fc.constant(null)), fc.tuple(fc.constant(null), beside), fc.tuple(text, beside)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((pairs) => {
    const [values, companions] = [pairs.map(([value]) => value), pairs.map(([, companion]) => companion)];
    return { given: values, ...(companions.some((companion) => companion !== null) ? { _given: companions } : {}) };
  });

const name = fc
  .tuple(some({ family: text, _family: beside, text, extension: extensions }), given)
  .map(([parts, lists]) => ({ ...parts, ...lists }));
const address = some({
  line: fc.array(text, { minLength: 1 }),
  city: text,
  postalCode: text,
  state: fc.constant('VT'),
  extension: extensions,
});
const identifier = some({ system: fc.webUrl(), value: text, _value: beside });
const list = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { minLength: 1, maxLength: 3 });

const patient = fc
  .record(
    {
      id: fc.uuid(),
      name: list(name),
      address: list(address),
      identifier: list(identifier),
      birthDate: day,
      _birthDate: beside,
      extension: extensions,
      deceasedBoolean: fc.boolean(),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .map((members): FhirResource => ({ resourceType: 'Patient', ...members }));

test('[E1] any patient comes back exactly as it was, order of members included', () => {
  fc.assert(
    fc.property(patient, (resource) => {
      const before = JSON.stringify(resource);
      const { sealed, vault } = seal(resource);
      const opened = open(sealed, vault);
      assert.deepEqual(opened, resource);
      assert.equal(JSON.stringify(opened), before);
      assert.equal(JSON.stringify(resource), before);
    }),
    { numRuns: 300 },
  );
});

test('[E1] a resource that the upstream wrote anew with its members in another order opens to the same', () => {
  const reversed = (value: Json): Json => {
    if (Array.isArray(value)) return (value as readonly Json[]).map(reversed);
    if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([member, part]) => [member, reversed(part)]),
    );
  };
  fc.assert(
    fc.property(patient, (resource) => {
      const { sealed, vault } = seal(resource);
      assert.deepEqual(open(reversed(sealed) as FhirResource, vault), resource);
    }),
    { numRuns: 100 },
  );
});
