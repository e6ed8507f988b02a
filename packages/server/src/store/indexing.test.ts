/** Tests of the indexer without a database: every expression of R4 compiles, and each datatype gives the rows it should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, generateDataKey } from '@keyward/sdk/seal';
import * as fc from 'fast-check';
import { RESOURCE_TYPES, searchParameters } from '../phi/index.ts';
import { dateInterval } from './dates.ts';
import { compileExpression } from './expression.ts';
import { ANY_SYSTEM, indexRows, systemToken, valueToken } from './index-rows.ts';
import type { IndexTable } from './migrations.ts';
import { indexedParameters } from './parameters.ts';
import { splitUnescaped, unescape } from './search-filters.ts';
import { folded, soughtTokens, stringTokens } from './string-tokens.ts';
import type { Resource } from './types.ts';

const key = generateDataKey();
const rowsOf = (resource: Resource, table: IndexTable, param: string) => {
  const rows = indexRows(resource, indexedParameters(resource.resourceType).values(), key)[table];
  return rows.filter(([code]) => code === param).map(([, ...row]) => row);
};

test('[E7] every search expression of every resource type of R4 compiles', () => {
  assert.equal(RESOURCE_TYPES.length, 146, 'value set resource-types of 4.0.1');
  for (const type of RESOURCE_TYPES) {
    for (const { expression } of searchParameters(type)) if (expression !== '') compileExpression(expression);
  }
  assert.throws(() => compileExpression('Patient.name.first()'));
});

const EXTRACTIONS: readonly (readonly [expression: string, resource: Record<string, Json>, values: readonly Json[]])[] =
  [
    ['Patient.name.given', { name: [{ given: ['a', 'b'] }, { given: ['c', null] }, {}] }, ['a', 'b', 'c']],
    [
      "Patient.telecom.where(system='phone')",
      { telecom: [{ system: 'phone', value: '1' }, { system: 'email' }] },
      [{ system: 'phone', value: '1' }],
    ],
    [
      'Account.subject.where(resolve() is Patient)',
      { subject: [{ reference: 'Patient/1' }, { reference: 'Group/1' }] },
      [{ reference: 'Patient/1' }],
    ],
    ['Observation.value.ofType(string)', { valueString: 'x' }, ['x']],
    ['Observation.value.ofType(string)', { valueQuantity: { value: 1 } }, []],
    [
      'Observation.code | Observation.value.ofType(CodeableConcept)',
      { code: { text: 'c' }, valueCodeableConcept: { text: 'v' } },
      [{ text: 'c' }, { text: 'v' }],
    ],
    [
      'Bundle.entry[0].resource',
      { entry: [{ resource: { id: 'first' } }, { resource: { id: 'second' } }] },
      [{ id: 'first' }],
    ],
    ['Patient.deceased.exists() and Patient.deceased != false', { deceasedDateTime: '2020' }, [true]],
    ['Patient.deceased.exists() and Patient.deceased != false', { deceasedBoolean: false }, [false]],
    ['Patient.deceased.exists() and Patient.deceased != false', {}, [false]],
  ];

for (const [expression, resource, values] of EXTRACTIONS) {
  test(`[E7] ${expression} of ${JSON.stringify(resource)}`, () => {
    const found = compileExpression(expression)({ resourceType: 'Any', ...resource });
    assert.deepEqual(
      found.map(({ value }) => value),
      values,
    );
  });
}

test('[E7] codes are indexed with their systems: Coding, CodeableConcept, code and boolean', () => {
  const coding = { system: 'http://loinc.org', code: '8302-2', display: 'Body height' };
  const observation = {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [coding, { code: 'bare' }], text: 'never indexed' },
  };
  assert.deepEqual(rowsOf(observation, 'index_code', 'code'), [
    ['http://loinc.org', '8302-2'],
    ['', 'bare'],
  ]);
  assert.deepEqual(rowsOf(observation, 'index_code', 'status'), [['', 'final']]);
  assert.deepEqual(rowsOf({ resourceType: 'Patient', active: true }, 'index_code', 'active'), [['', 'true']]);
});

test('[E7] identifiers and contact points become tokens with, without and of their system, never codes', () => {
  const patient = {
    resourceType: 'Patient',
    identifier: [{ system: 'urn:mrn', value: 'A1' }],
    telecom: [{ system: 'email', value: 'a@b' }],
  };
  const expected = [
    valueToken(key, 'identifier', ANY_SYSTEM, 'A1'),
    valueToken(key, 'identifier', 'urn:mrn', 'A1'),
    systemToken(key, 'identifier', 'urn:mrn'),
  ];
  assert.deepEqual(
    rowsOf(patient, 'index_blind', 'identifier'),
    expected.map((token) => [token]),
  );
  assert.deepEqual(rowsOf(patient, 'index_code', 'identifier'), []);
  assert.deepEqual(rowsOf(patient, 'index_code', 'telecom'), []);
  assert.equal(rowsOf(patient, 'index_blind', 'email').length, 3);
});

test('[E7] what cannot stand in an index is kept out of it, and its resource is still accepted', () => {
  for (const text of ['a\0b', 'x'.repeat(1001)]) {
    const coding = [
      { system: 'urn:s', code: text },
      { system: text, code: 'c' },
    ];
    assert.deepEqual(rowsOf({ resourceType: 'Observation', code: { coding } }, 'index_code', 'code'), []);
    const identifier = [{ system: text, value: 'v' }];
    assert.deepEqual(rowsOf({ resourceType: 'Observation', identifier }, 'index_blind', 'identifier'), []);
    for (const unit of [{ system: text, code: 'c' }, { code: text }, { unit: text }]) {
      const valueQuantity = { value: 1, ...unit };
      assert.deepEqual(rowsOf({ resourceType: 'Observation', valueQuantity }, 'index_quantity', 'value-quantity'), []);
    }
  }
});

test('[E7] of a sealed value the index knows that it is there, once, and not which', () => {
  const token = `kw1.${'A'.repeat(2000)}`;
  const patient = {
    resourceType: 'Patient',
    name: [{ text: token, prefix: [token] }],
    identifier: [{ system: 'urn:mrn', value: token }],
  };
  assert.deepEqual(rowsOf(patient, 'index_blind', 'name'), [['sealed']]);
  assert.deepEqual(rowsOf(patient, 'index_blind', 'identifier'), [
    ['sealed'],
    [systemToken(key, 'identifier', 'urn:mrn')],
  ]);
  const valueQuantity = { value: 1, unit: token };
  const observation = { resourceType: 'Observation', status: token, valueQuantity };
  assert.deepEqual(rowsOf(observation, 'index_quantity', 'value-quantity'), [[1, '', '']]);
  assert.deepEqual(rowsOf(observation, 'index_code', 'status'), []);
  assert.deepEqual(rowsOf(observation, 'index_blind', 'status'), [['sealed']]);
});

test('[E7] one value has different tokens under different parameters and keys', () => {
  const tokens = [
    valueToken(key, 'family', '', 'x'),
    valueToken(key, 'given', '', 'x'),
    valueToken(generateDataKey(), 'family', '', 'x'),
  ];
  assert.equal(new Set(tokens).size, 3);
});

test('[E7] references are indexed by type and id within the store, as one text elsewhere, else not at all', () => {
  const elsewhere = 'https://elsewhere.example/Patient/p2';
  const rows = (reference: string) =>
    (['index_reference', 'index_code'] as const).flatMap((table) =>
      rowsOf({ resourceType: 'Observation', subject: { reference } }, table, 'subject'),
    );
  for (const local of ['Patient/p1', 'Patient/p1/_history/3']) assert.deepEqual(rows(local), [['Patient', 'p1']]);
  assert.deepEqual(rows(elsewhere), [['', elsewhere]]);
  for (const other of ['urn:uuid:1', '#contained', 'Patient?name=x', `${elsewhere}${'x'.repeat(1000)}`])
    assert.deepEqual(rows(other), [], other);
  const observation = { resourceType: 'Observation', subject: { reference: elsewhere } };
  assert.deepEqual(rowsOf(observation, 'index_code', 'patient'), [['', elsewhere]]);
});

test('[E7] dates are half-open intervals of their own precision, and open periods reach to the ends of time', () => {
  const rows = (more: Record<string, Json>) =>
    rowsOf({ resourceType: 'Observation', ...more }, 'index_date', 'date').flat();
  assert.deepEqual(rows({ effectiveDateTime: '2020-02' }), ['2020-02-01T00:00:00.000Z', '2020-03-01T00:00:00.000Z']);
  assert.deepEqual(rows({ effectivePeriod: { start: '2020-02-29' } }), [
    '2020-02-29T00:00:00.000Z',
    '9999-12-31T23:59:59.999Z',
  ]);
  assert.deepEqual(rows({ effectivePeriod: { start: 'soon' } }), []);
  assert.deepEqual(rows({ effectiveDateTime: 'soon' }), []);
});

const INTERVALS = [
  ['2020', '2020-01-01T00:00:00.000Z', '2021-01-01T00:00:00.000Z'],
  ['2020-12', '2020-12-01T00:00:00.000Z', '2021-01-01T00:00:00.000Z'],
  ['2020-12-31', '2020-12-31T00:00:00.000Z', '2021-01-01T00:00:00.000Z'],
  ['9999-12-31', '9999-12-31T00:00:00.000Z', '9999-12-31T23:59:59.999Z'],
  ['0001-01-01T00:00:00+14:00', '0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.000Z'],
  ['2020-01-01T10:00', '2020-01-01T10:00:00.000Z', '2020-01-01T10:01:00.000Z'],
  ['2020-01-01T10:00:07+02:00', '2020-01-01T08:00:07.000Z', '2020-01-01T08:00:08.000Z'],
  ['2020-01-01T10:00:07.1239Z', '2020-01-01T10:00:07.123Z', '2020-01-01T10:00:07.124Z'],
] as const;

for (const [text, start, end] of INTERVALS) {
  test(`[E7] ${text} reaches from ${start} up to ${end}`, () => {
    assert.deepEqual(dateInterval(text), { start, end });
  });
}

for (const text of [
  '',
  '0000',
  '20',
  '2020-13',
  '2020-02-30',
  '2020-01-01T25:00',
  '2020-01-01x',
  ' 2020',
  '2020-01-01T10',
]) {
  test(`[E7] "${text}" is no date`, () => assert.equal(dateInterval(text), undefined));
}

test('[E7] a date lies within every coarser date that begins it', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date('0100-01-01'), max: new Date('9998-12-31'), noInvalidDate: true }), (date) => {
      const text = date.toISOString();
      const fine = dateInterval(text);
      for (const length of [4, 7, 10]) {
        const coarse = dateInterval(text.slice(0, length));
        assert.ok(fine && coarse && coarse.start <= fine.start && fine.end <= coarse.end);
      }
    }),
  );
});

test('[E7] escaped separators do not separate', () => {
  assert.deepEqual(splitUnescaped('a\\,b,c', ',').map(unescape), ['a,b', 'c']);
  assert.deepEqual(splitUnescaped('sys|a\\|b', '|').map(unescape), ['sys', 'a|b']);
  assert.deepEqual(splitUnescaped('|x', '|'), ['', 'x']);
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (parts) => {
      const joined = parts.map((part) => part.replace(/[\\,|$]/g, '\\$&')).join(',');
      assert.deepEqual(splitUnescaped(joined, ',').map(unescape), parts);
    }),
  );
});

const texts = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
const isFound = (text: string, sought: string, isExact: boolean, isClear: boolean): boolean => {
  const tokens = stringTokens(key, 'name', text, isClear);
  return soughtTokens(key, 'name', sought, isExact).some((token) => token !== undefined && tokens.includes(token));
};

test('[E7] a text of a clear type is found by every beginning of up to 64 letters, and by no other', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 64 }), texts, (text, length, other) => {
      const beginning = folded(text).slice(0, length).join('');
      // Characters that show nothing have no token, and nobody finds anything by them.
      const isSought = soughtTokens(key, 'name', beginning, false).some((token) => token !== undefined);
      if (isSought) assert.ok(isFound(text, beginning, false, true));
      const begins = folded(text).join('').startsWith(folded(other).join(''));
      if (!begins) assert.ok(!isFound(text, other, false, true));
    }),
  );
});

test('[E7] :exact finds a text of a clear type by its own spelling alone', () => {
  fc.assert(
    fc.property(texts, texts, (text, other) => {
      if (text !== '') assert.ok(isFound(text, text, true, true));
      if (text !== other) assert.ok(!isFound(text, other, true, true));
    }),
  );
});

test('[E7] a text of a sealed type and a blind index have one token, of the whole', () => {
  for (const [text, isClear] of [
    ['Chalmers', false],
    [`kwi1${'a'.repeat(26)}`, true],
  ] as const) {
    assert.equal(stringTokens(key, 'family', text, isClear).length, 1);
    assert.ok(isFound(text, text, false, isClear));
    assert.ok(!isFound(text, text.slice(0, -1), false, isClear));
  }
});
