/** References to secrets: where they may point to, and that nothing of a secret is told. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readSecretReference, secretReference, secretVariables } from './secret-references.ts';

function newFile(context: TestContext, text: string, mode = 0o600): string {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-secret-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'secret');
  writeFileSync(file, text, { mode });
  return file;
}

test('[K10] a secret is read from a file without the line break at its end, or from the environment', (context) => {
  assert.equal(readSecretReference({ file: newFile(context, ' pin 1 \r\n') }), ' pin 1 ');
  assert.equal(readSecretReference({ env: 'HSM_PIN' }, { HSM_PIN: '1234' }), '1234');
});

test('[K10] a file that everybody may read, an empty one, one that is missing and an unset variable are refused', (context) => {
  const refused = [
    { file: newFile(context, 's3cret', 0o604) },
    { file: newFile(context, '\n') },
    { file: tmpdir() },
    { file: '/nowhere/s3cret' },
    { env: 'HSM_PIN' },
  ];
  for (const reference of refused)
    assert.throws(
      () => readSecretReference(reference, {}),
      (error: Error & { code?: string }) =>
        error.code === 'CONFIG_SECRET_UNREADABLE' && !error.message.includes('s3cret'),
    );
});

test('[K10] a secret itself, a variable that is a configuration key, and both at once are no reference', () => {
  for (const wrong of ['s3cret', { value: 's3cret' }, { env: 'KEYWARD_PIN' }, { env: 'A', file: 'b' }, {}])
    assert.equal(secretReference.safeParse(wrong).success, false);
});

test('[K10] variables that hold secrets are found wherever the settings refer to them', () => {
  const settings = { root: { pin: { env: 'HSM_PIN' }, key: 'env' }, nextRoot: { token: { env: 'TOKEN' } }, days: 90 };
  assert.deepEqual(secretVariables(settings), ['HSM_PIN', 'TOKEN']);
});
