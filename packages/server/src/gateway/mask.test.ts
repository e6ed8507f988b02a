import assert from 'node:assert/strict';
import { test } from 'node:test';
import { masked } from './mask.ts';

test('[A4] a mask shows the last four characters of a long text and nothing of a short one', () => {
  assert.deepEqual(masked('999-34-1238'), { kind: 'mask', value: '••••1238' });
  assert.deepEqual(masked('1234567'), { kind: 'mask', value: '••••' });
  assert.deepEqual(masked(''), { kind: 'mask', value: '••••' });
});

test('[A4] what is no text is withheld instead of masked', () => {
  for (const value of [12345678, true, null, ['12345678']]) assert.deepEqual(masked(value), { kind: 'withhold' });
});
