/** Bundles as large as they may be: acknowledged entry by entry, sealed, in bounded memory; one entry more is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { Agent, request } from 'undici';
import { countsOf, refusalOf, textOf } from '../support/attacker.ts';
import { observationOf } from '../support/export.ts';
import { pidOf } from '../support/processes.ts';
import { type Body, filesHolding, type Product, startProduct } from '../support/product.ts';

const MOST_ENTRIES = 5_000;
const MIB = 1024 * 1024;
/** Node's share alone is about 100 MiB; a body of this size is 2 MiB. */
const MOST_BYTES = 600 * MIB;

let product: Product;
let clinician: string;
let patient: string;
before(async () => {
  product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_TIMEOUT_MS: '120000' } });
  clinician = await product.token({ role: 'clinician' });
  const { body } = await product.fhir({ path: '/Patient', token: clinician, json: { resourceType: 'Patient' } });
  patient = textOf(body['id']);
});

/** Each entry of a batch waits for the ledger twice. */
const PATIENCE_MS = 300_000;

/** Observations with a note that no other test writes. */
async function send(type: 'batch' | 'transaction', entries: number): Promise<{ status: number; body: Body }> {
  const entry = Array.from({ length: entries }, (_, number) => ({
    resource: { ...observationOf(patient, number), note: [{ text: noteOf(type, number) }] },
    request: { method: 'POST', url: 'Observation' },
  }));
  const answer = await request(product.base, {
    method: 'POST',
    headers: { authorization: `Bearer ${clinician}`, 'content-type': 'application/fhir+json' },
    body: JSON.stringify({ resourceType: 'Bundle', type, entry }),
    dispatcher: new Agent({ connect: { ca: product.ca }, headersTimeout: PATIENCE_MS }),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Body };
}

const noteOf = (type: string, number: number): string => `Quendryth ${type} ${number}`;

/** Highest resident memory of the gateway process so far. */
async function peakBytes(): Promise<number> {
  const status = readFileSync(`/proc/${String(await pidOf(product, 'gateway'))}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

const onLinux = process.platform === 'linux' ? false : 'memory is read from /proc';
const SKIP = {
  transaction: onLinux,
  batch: onLinux || (process.env['KEYWARD_TEST_ALL'] ? false : 'a long run: KEYWARD_TEST_ALL is not set'),
};
for (const type of ['transaction', 'batch'] as const) {
  test(`[E1] a ${type} of ${MOST_ENTRIES} entries is acknowledged, sealed, and held in bounded memory`, {
    skip: SKIP[type],
  }, async (context) => {
    const { status, body } = await send(type, MOST_ENTRIES);
    assert.equal(status, 200, JSON.stringify(body['issue']));
    const peak = await peakBytes();
    context.diagnostic(`the gateway held ${Math.round(peak / MIB)} MiB at most`);
    assert.ok(peak < MOST_BYTES, `${Math.round(peak / MIB)} MiB`);
    const answers = body['entry'] as unknown as { response: { status: string; location: string } }[];
    assert.deepEqual([...new Set(answers.map(({ response }) => response.status.slice(0, 3)))], ['201']);
    const ids = answers.map(({ response }) => /Observation\/([^/]+)\/_history\/1$/.exec(response.location)?.[1]);
    assert.equal(new Set(ids).size, MOST_ENTRIES);
    const last = await product.fhir({ path: `/Observation/${ids.at(-1) ?? ''}`, token: clinician });
    assert.equal(textOf(last.body['note']?.[0]?.['text']), noteOf(type, MOST_ENTRIES - 1));
    assert.deepEqual(filesHolding(product.dataDir, new Set(['Quendryth'])), []);
  });

  test(`[A6] a ${type} of one entry more is refused, and nothing of it is stored`, async () => {
    const counts = await countsOf(product, ['Observation']);
    const answer = await send(type, MOST_ENTRIES + 1);
    assert.equal(refusalOf(answer), '400 FHIR_BUNDLE_INVALID');
    assert.match(JSON.stringify(answer.body), /At most 5000 entries/);
    assert.deepEqual(await countsOf(product, ['Observation']), counts);
  });
}
