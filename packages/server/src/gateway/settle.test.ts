/** Tests of what a condition makes of a write: no write that could lose somebody's change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError } from '../core/index.ts';
import { planCondition } from './conditional.ts';
import type { WriteOperation } from './exchange.ts';
import type { Question } from './matches.ts';
import { decision } from './search/testing.ts';
import { settle } from './settle.ts';
import { createBench } from './testing.ts';

const exchange = createBench(() => Promise.reject(new Error('not asked'))).exchange();
const condition = planCondition(exchange, 'Patient', new URLSearchParams('_id=p1'), true);
const question: Question = { condition, query: '_id=p1', key: 'k' };
const operation = (interaction: WriteOperation['interaction']): WriteOperation => ({
  interaction,
  type: 'Patient',
  id: '',
  resource: { resourceType: 'Patient' },
  fullUrl: '',
  ifMatch: undefined,
  decision: decision(),
  condition,
});

for (const interaction of ['update', 'delete'] as const) {
  test(`[E1] a conditional ${interaction} goes out under If-Match of the version that was found`, () => {
    const existing = { resourceType: 'Patient', id: 'p1', meta: { versionId: '7' } };
    const { id, ifMatch } = settle(operation(interaction), question, existing);
    assert.deepEqual([id, ifMatch], ['p1', 'W/"7"']);
  });

  for (const [what, meta] of [
    ['no meta', undefined],
    ['no version', {}],
    ['a version that is none', { versionId: 'a"b' }],
  ] as const) {
    test(`[E1] a conditional ${interaction} is refused where the upstream gives ${what}: a change made meanwhile would be lost`, () => {
      const existing = { resourceType: 'Patient', id: 'p1', ...(meta ? { meta } : {}) };
      assert.throws(
        () => settle(operation(interaction), question, existing),
        (error) => error instanceof KeywardError && error.code === 'GATEWAY_UPSTREAM_INVALID',
      );
    });
  }
}
