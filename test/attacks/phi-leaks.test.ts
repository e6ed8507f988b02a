/** Threat: identifying values that leave by another door: URLs, errors, logs, links, files, or the traffic to the upstream. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused } from '../support/attacker.ts';
import {
  CANARIES,
  CANARY_BATCH,
  CANARY_CONDITIONS,
  CANARY_MISUSES,
  CANARY_SEARCHES,
  canaryTransaction,
  PATIENT,
} from '../support/canaries.ts';
import { type Answer, filesHolding, type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';

const silent = ({ body, headers }: Answer, what: string) => {
  const text = JSON.stringify([body, headers]);
  for (const canary of CANARIES) assert.ok(!text.includes(canary), `${what}: the answer holds ${canary}`);
};

const isRefusal = (status: number): boolean => (status >= 400 && status < 500) || status === 501;

/** What was not refused, by name. */
async function misuseAll(product: Product): Promise<string[]> {
  const accepted: string[] = [];
  for (const [what, call] of CANARY_MISUSES) {
    const withRole = call.headers?.['authorization'] ? call : { ...call, role: 'clinician' };
    const answer = await product.fhir(withRole);
    if (!isRefusal(answer.status)) accepted.push(`${what}: ${answer.status}`);
    else silent(answer, what);
  }
  const batch = await product.fhir({ ...CANARY_BATCH, role: 'clinician' });
  const entries = batch.body['entry'] as unknown as { response: { status: string } }[];
  for (const [index, { response }] of entries.entries())
    if (!isRefusal(Number(response.status))) accepted.push(`entry ${index} of the batch: ${response.status}`);
  if (accepted.length === 0) silent(batch, 'batch');
  return accepted;
}

async function useAll(product: Product): Promise<void> {
  const written = await product.fhir({ path: '/', role: 'clinician', json: canaryTransaction() });
  assert.equal(written.status, 200, JSON.stringify(written.body));
  silent(written, 'transaction');
  for (const call of CANARY_CONDITIONS) {
    const answer = await product.fhir({ role: 'clinician', headers: { prefer: 'return=minimal' }, ...call });
    assert.ok(answer.status < 300, JSON.stringify([call, answer.body]));
    if (answer.status !== 201) silent(answer, 'condition');
  }
  for (const form of CANARY_SEARCHES) {
    const answer = await product.fhir({ method: 'POST', path: '/Patient/_search', form, role: 'clinician' });
    assert.equal(answer.status, 200, JSON.stringify([form, answer.body]));
    for (const link of answer.body['link'] as unknown as { url: string }[])
      assert.doesNotMatch(link.url, /\?(?!_cursor=)/);
  }
}

describe('behind the gateway stands the built-in store', () => {
  let product: Product;
  before(async () => {
    product = await startProduct();
  });

  test('[P1] what may stand in no URL, header or condition is refused wherever it stands, and echoed nowhere', async () => {
    assert.deepEqual(await misuseAll(product), []);
  });

  test('[P1] a refusal for PHI in a URL tells the way out and is recorded', async () => {
    const refused = { path: '/Patient?family=Kolibrifamily', role: 'clinician' };
    const { body } = await assertRefused(product, refused, '400 FHIR_PHI_IN_URL', 'a name in the URL');
    assert.match(JSON.stringify(body), /_search/);
  });

  test('[P2] after all this, and with the canaries stored, no file and no log holds one of them', async () => {
    await useAll(product);
    const found = await product.fhir({
      method: 'POST',
      path: '/Patient/_search',
      form: { family: 'Kolibrifamily' },
      role: 'clinician',
    });
    assert.equal(found.body['entry']?.[0]?.['resource']?.['birthDate'], PATIENT.birthDate, 'they are there');
    assert.deepEqual(filesHolding(product.dataDir, CANARIES), []);
    assert.equal(await product.stop(), 0);
    assert.deepEqual(filesHolding(product.dataDir, CANARIES), []);
  });
});

describe('behind the gateway stands an upstream that writes everything down', () => {
  let upstream: RecordingUpstream;
  let product: Product;
  before(async () => {
    upstream = await RecordingUpstream.start();
    product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  });
  after(() => upstream.close());

  test('[E1] nothing of what is stored and searched reaches it in clear', async () => {
    await useAll(product);
    assert.ok(upstream.stored.size >= 4, 'it received the records');
    assert.deepEqual(filesHolding(upstream.folder, CANARIES), []);
    assert.deepEqual(filesHolding(product.dataDir, CANARIES), []);
  });

  test('[E1] and yet a clinician reads back what was sent', async () => {
    const [name] = [...upstream.stored.keys()].filter((key) => key.startsWith('Patient/'));
    const { status, body } = await product.fhir({ path: `/${name}`, role: 'clinician' });
    assert.equal(status, 200, JSON.stringify(body));
    const { meta: _meta, id: _id, ...rest } = body as unknown as Record<string, unknown>;
    assert.deepEqual(rest, PATIENT);
  });

  test('[P1] nothing of a refused request reaches it', async () => {
    const accepted = await misuseAll(product);
    assert.deepEqual({ accepted, reached: filesHolding(upstream.folder, CANARIES) }, { accepted: [], reached: [] });
  });
});
