/** The rules on presence: every operator, its precedence, and what is more than that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePresence } from './presence.ts';

const BITS: Readonly<Record<string, number>> = { a: 1, b: 2, c: 4 };
const holds = (expression: string, present: string): boolean =>
  compilePresence(
    expression,
    (member) => BITS[member] ?? 0,
  )(present.split('').reduce((mask, member) => mask | (BITS[member] ?? 0), 0));

/** Which of '', a, b, ab, c, ac, bc, abc satisfy the rule. */
const CASES: readonly (readonly [expression: string, expected: string])[] = [
  ['a.exists()', '01010101'],
  ['a.empty()', '10101010'],
  ['a.exists().not()', '10101010'],
  ['a.exists() or b.exists()', '01110111'],
  ['a.exists() and b.exists()', '00010001'],
  ['a.exists() xor b.exists()', '01100110'],
  ['a.exists() != b.exists()', '01100110'],
  ['a.exists() = b.exists()', '10011001'],
  ['a.exists() implies b.exists()', '10111011'],
  ['a.exists() or b.exists() and c.exists()', '01010111'],
  ['(a.exists() or b.exists()) and c.exists()', '00000111'],
  ['(a.exists() and b.exists()).not()', '11101110'],
];
const PRESENT = ['', 'a', 'b', 'ab', 'c', 'ac', 'bc', 'abc'];

for (const [expression, expected] of CASES)
  test(`[A5] "${expression}" is read as FHIRPath reads it`, () => {
    assert.equal(PRESENT.map((present) => Number(holds(expression, present))).join(''), expected);
  });

for (const expression of ['a.count() > 1', 'a.exists() or', '(a.exists()', 'a.exists() b.exists()', ''])
  test(`[A5] "${expression}" is not taken for a rule on presence`, () => {
    assert.throws(() => holds(expression, ''));
  });
