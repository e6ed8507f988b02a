/** Client libraries that people use, unmodified, each in a process of its own that trusts our CA. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Product, startProduct } from '../support/product.ts';
import { type Errand, type Facts, OBSERVATIONS } from './facts.ts';

const CLIENTS: Readonly<Record<string, URL>> = {
  fhirclient: new URL('./fhirclient.child.ts', import.meta.url),
  'fhir-kit-client': new URL('./fhir-kit-client.child.ts', import.meta.url),
  '@medplum/core': new URL('./medplum.child.ts', import.meta.url),
};

let product: Product;
before(async () => {
  product = await startProduct();
});

async function drive(script: URL, errand: Errand): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(script)], {
    env: {
      PATH: process.env['PATH'],
      NODE_EXTRA_CA_CERTS: product.paths.caCertificate,
      ERRAND: JSON.stringify(errand),
    },
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}

for (const [name, script] of Object.entries(CLIENTS))
  test(`[E1] ${name} discovers, creates, reads, updates, searches by POST, posts a transaction and pages`, async () => {
    const family = `Client${name.replace(/\W/g, '')}`;
    const token = await product.token({ role: 'clinician' });
    const facts = await drive(script, { base: product.base, token, family });
    const wanted: Facts = {
      fhirVersion: '4.0.1',
      createdVersion: '1',
      readFamily: family,
      updatedVersion: '2',
      found: true,
      transaction: ['201', '201'],
      paged: OBSERVATIONS,
      missing: 404,
    };
    assert.deepEqual(facts, wanted);
  });
