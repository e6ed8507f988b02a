/** Tests of cutting large events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDataKey } from '@keyward/sdk/seal';
import * as fc from 'fast-check';
import type { AuditEvent } from '../core/index.ts';
import { encodeHeader, ENTRY_MAX_BYTES } from './entry.ts';
import { sealEntry } from './sealed-entry.ts';
import { splitEvent } from './split.ts';

const KEYS = { pseudonym: generateDataKey(), day: generateDataKey() };

const EVENT: AuditEvent = {
  id: '00000000-0000-4000-8000-000000000001',
  at: new Date(0),
  class: 'disclosure',
  tenant: 'clinic',
  correlationId: '00000000-0000-4000-8000-000000000002',
  actor: { sub: 'dr-who' },
  interaction: 'search-type',
  decision: 'permit',
  rule: 'clinician',
};

const uuid = (n: number): string => `00000000-0000-4000-9000-${n.toString(16).padStart(12, '0')}`;
const upTo = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

test('[L1] an event that fits is recorded as it is', () => {
  assert.deepEqual(splitEvent({ ...EVENT, resources: ['Patient/1'] }), [{ ...EVENT, resources: ['Patient/1'] }]);
});

test('[L1] a large event becomes entries that fit and together name everything once, in order', () => {
  const counts = fc.tuple(fc.nat(6000), fc.nat(6000), fc.nat(6000));
  fc.assert(
    fc.property(counts, ([resourceCount, subjectCount, keyCount]) => {
      const resources = upTo(resourceCount, (n) => `Observation/${n}`);
      const subjects = upTo(subjectCount, uuid);
      const keyIds = upTo(keyCount, (n) => n.toString(16).padStart(32, '0'));
      const parts = splitEvent({ ...EVENT, resources, subjects, keyIds });
      assert.deepEqual(
        parts.flatMap((part) => part.resources ?? []),
        resources,
      );
      assert.deepEqual(
        parts.flatMap((part) => part.subjects ?? []),
        subjects,
      );
      assert.deepEqual(
        parts.flatMap((part) => part.keyIds ?? []),
        keyIds,
      );
      assert.equal(new Set(parts.map((part) => part.id)).size, parts.length, 'ids differ');
      for (const part of parts) {
        const { header, body } = sealEntry(part, KEYS);
        assert.ok(encodeHeader(header).length + body.length <= ENTRY_MAX_BYTES);
        assert.equal(part.correlationId, EVENT.correlationId);
      }
    }),
    { numRuns: 20 },
  );
});

test('[L1] cutting the same event twice gives the same ids, so recording it twice keeps one', () => {
  const large = { ...EVENT, resources: upTo(9000, (n) => `Observation/${n}`) };
  assert.deepEqual(splitEvent(large), splitEvent(large));
  assert.equal(splitEvent(large)[0]?.id, EVENT.id);
});

test('[L1] what is no list and too large by itself is refused', () => {
  assert.throws(() => splitEvent({ ...EVENT, rule: 'x'.repeat(ENTRY_MAX_BYTES) }), { code: 'LEDGER_ENTRY_TOO_LARGE' });
  assert.throws(() => splitEvent({ ...EVENT, resources: ['x'.repeat(ENTRY_MAX_BYTES)] }), {
    code: 'LEDGER_ENTRY_TOO_LARGE',
  });
});
