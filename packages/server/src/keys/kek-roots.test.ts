/** Which root a KEK's row names, also where a root has no name yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootNamed } from './kek-roots.ts';
import type { Root } from './roots/root.ts';

const unused = async (): Promise<never> => assert.fail('nothing is wrapped here');

const named = (key: string): Root => ({
  wrap: unused,
  unwrap: unused,
  describe: () => ({ provider: 'local', key, hardware: false, exportable: true }),
  close: async () => undefined,
});

const [used, unread] = [named('aa'), named('-')];

const ROWS: readonly (readonly [row: string, roots: readonly Root[], found: Root, why: string])[] = [
  ['local:aa', [unread, used], used, 'by its name'],
  ['local:bb', [used, unread], unread, 'its key was made by another custodian and is not read here yet'],
  ['local:bb', [used], used, 'unwrapping tells that it is another one'],
  ['local', [used, unread], used, 'a row of before roots had names'],
];

for (const [row, roots, found, why] of ROWS)
  test(`[K9] a KEK on ${row} is opened with the root that can have wrapped it: ${why}`, () =>
    assert.equal(rootNamed(roots, row), found));

test('[K9] a KEK on a root that is not configured is refused', () =>
  assert.throws(() => rootNamed([used], 'transit:x'), { code: 'KEYS_ROOT_MISMATCH' }));
