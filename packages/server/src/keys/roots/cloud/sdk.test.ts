/** SDKs that are not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSdk } from './sdk.ts';

test('[K9] an SDK that is not installed is told with the line that installs it', async () => {
  const name = '@keyward/there-is-no-such-package';
  await assert.rejects(
    loadSdk(['@azure/keyvault-keys', '@azure/identity'], () => import(name)),
    { code: 'KEYS_ROOT_UNUSABLE', detail: /npm install @azure\/keyvault-keys @azure\/identity$/ },
  );
});

test('[K9] an SDK that is there and fails to load is not taken for a missing one', async () => {
  const broken = new SyntaxError('broken');
  await assert.rejects(
    loadSdk(['x'], () => Promise.reject(broken)),
    broken,
  );
});
