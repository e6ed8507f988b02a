/** The text a sealed member is stored as: known answers, and one spelling for each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readText, writeText } from './text.ts';

const ROOT = { objectId: '0b7c3f0e-53a1-4f0e-8f7f-3f1d9c0e7a42', scope: 'tenant' };
const SUBJECT_ROOT = { ...ROOT, scope: '6f2c6a52-6b2e-8c6f-9d0f-2a8f0d3f5b11' };
const TOKEN = `kw1.${'A'.repeat(62)}`;

test('[E1] the stored text: known answers', () => {
  const tenant = `kw1j.C3w_DlOhTw6Pfz8dnA56Qg.${'A'.repeat(62)}`;
  const subject = `kw1j.C3w_DlOhTw6Pfz8dnA56Qm8salJrLoxvnQ8qjw0_WxE.${'A'.repeat(62)}`;
  assert.equal(writeText(ROOT, TOKEN), tenant);
  assert.equal(writeText(SUBJECT_ROOT, TOKEN), subject);
  assert.deepEqual(readText(tenant), { root: ROOT, token: TOKEN });
  assert.deepEqual(readText(subject), { root: SUBJECT_ROOT, token: TOKEN });
});

test('[E1] a stored text has one spelling: what reads, writes the same', () => {
  const root = fc.record(
    { objectId: fc.uuid(), scope: fc.oneof(fc.constant('tenant'), fc.uuid()) },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(root, (one) => assert.deepEqual(readText(writeText(one, TOKEN)), { root: one, token: TOKEN })));
  const valid = writeText(ROOT, TOKEN);
  for (const bad of [
    valid.replace('Qg.', 'Qh.'),
    valid.replace('kw1j', 'KW1J'),
    `${valid}=`,
    ` ${valid}`,
    valid.slice(0, 27),
    'kw1j..A',
    TOKEN,
  ])
    assert.throws(() => readText(bad), { code: 'SEAL_NOT_AUTHENTIC' }, bad);
});
