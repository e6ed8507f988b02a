/** The checks for leaks can fail: with sealing switched off for one field, or one layer of the store, they find what they look for. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CANARIES, canaryTransaction, PATIENT } from '../support/canaries.ts';
import { filesHolding, type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';

const HOOK = import.meta.resolve('../support/unsealed.ts');
const FAMILY = PATIENT.name[0]?.family ?? '';
/** Canaries that stand in no family name. */
const OTHERS = new Set([...CANARIES].filter((text) => !FAMILY.toLowerCase().includes(text.toLowerCase())));
/** Stored in clear towards an upstream: only the store's own layers hide it from the database. */
const PRACTITIONER = { resourceType: 'Practitioner', name: [{ family: 'Kolibripractice' }] };

const upstream = await RecordingUpstream.start();
after(() => upstream.close());

/** A product without some of its sealing, into which the canaries were written. */
async function weakened(switchedOff: string, env: Record<string, string> = {}): Promise<Product> {
  const product = await startProduct({
    env: { NODE_OPTIONS: `--import=${HOOK}`, KEYWARD_TEST_UNSEALED: switchedOff, ...env },
  });
  for (const json of [canaryTransaction(), PRACTITIONER]) {
    const path = json.resourceType === 'Bundle' ? '/' : `/${json.resourceType}`;
    const { status, body } = await product.fhir({ path, role: 'clinician', json });
    assert.ok(status === 200 || status === 201, JSON.stringify(body));
  }
  return product;
}

test('[E1] with family names unsealed, the record of the upstream holds them, and the check says so', async () => {
  const product = await weakened('family', { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url });
  assert.notDeepEqual(filesHolding(upstream.folder, CANARIES), []);
  assert.deepEqual(filesHolding(upstream.folder, new Set([FAMILY])).length, 1);
  assert.deepEqual(filesHolding(upstream.folder, OTHERS), [], 'the other fields are still sealed');
  await product.stop();
});

test("[E3] with the store's bodies unsealed too, the data directory holds them, and the check says so", async () => {
  const product = await weakened('family,bodies');
  assert.notDeepEqual(filesHolding(product.dataDir, new Set([FAMILY])), []);
  assert.notDeepEqual(filesHolding(product.dataDir, new Set(['Kolibripractice'])), []);
  assert.deepEqual(filesHolding(product.dataDir, OTHERS), [], 'the other fields are still sealed');
  await product.stop();
});

test("[E7] with the store's index texts unblinded, the data directory holds them, and the check says so", async () => {
  const product = await weakened('indexes');
  assert.notDeepEqual(filesHolding(product.dataDir, new Set(['Kolibripractice', 'kolibripractice'])), []);
  assert.deepEqual(filesHolding(product.dataDir, OTHERS), [], 'what the gateway sealed is still sealed');
  await product.stop();
});
