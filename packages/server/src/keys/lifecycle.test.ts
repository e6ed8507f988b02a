/** The life-cycle table against SP 800-57 as the design gives it, and against the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIFECYCLE, permits } from './lifecycle.ts';
import { KEYS_MIGRATIONS } from './migrations.ts';

test('[K1] only an active key protects; only active and deactivated keys process', () => {
  const states = Object.keys(LIFECYCLE);
  assert.deepEqual(
    states.filter((state) => permits(state, 'protect')),
    ['active'],
  );
  assert.deepEqual(
    states.filter((state) => permits(state, 'process')),
    ['active', 'deactivated'],
  );
});

test('[K1] a state that is not in the table permits nothing', () => {
  for (const state of ['', 'Active', 'toString', '__proto__']) {
    assert.equal(permits(state, 'protect') || permits(state, 'process'), false, state);
  }
});

test('[K1] no state leads back from compromised or destroyed, and every next state exists', () => {
  const states = Object.keys(LIFECYCLE);
  for (const { next } of Object.values(LIFECYCLE)) for (const state of next) assert.ok(states.includes(state));
  assert.deepEqual(LIFECYCLE.compromised.next, ['destroyed']);
  assert.deepEqual(LIFECYCLE.destroyed.next, []);
});

test('[K1] the database accepts exactly the states of the table', () => {
  const [first] = KEYS_MIGRATIONS;
  const lists = [...first!.sql.matchAll(/CHECK \(state IN \(([^)]*)\)\)/g)];
  assert.equal(lists.length, 2);
  for (const [, list] of lists) {
    assert.deepEqual(
      list!.split(',').map((state) => state.trim().slice(1, -1)),
      Object.keys(LIFECYCLE),
    );
  }
});
