/** A throwaway Keyward with the patients of the sample data, for one run of a benchmark. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DATA_SETS, readBundles } from '../test/support/fhir-data.ts';
import { freePorts, Product } from '../test/support/product.ts';

/** Starts it, hands it to `work`, and stops and removes it, also on SIGINT and SIGTERM. */
export async function withProduct(
  work: (product: Product) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'));
  const [gatewayPort = 0, adminPort = 0] = await freePorts(2);
  const product = new Product(folder, gatewayPort, adminPort, env);
  const end = async () => {
    await product.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void end().then(() => process.exit(1)));
  try {
    await product.start();
    await work(product);
  } finally {
    await end();
  }
}

/** Ids of the created patients. */
export async function createPatients(product: Product, token: string): Promise<string[]> {
  const ids: string[] = [];
  for (const { bundle } of readBundles(DATA_SETS[0]?.folder ?? '')) {
    const found = bundle.entry.find(({ resource }) => resource.resourceType === 'Patient');
    if (!found) continue;
    // What it refers to is not loaded.
    const { managingOrganization: _organization, generalPractitioner: _practitioner, ...json } = found.resource;
    const { status, body } = await product.fhir({ path: '/Patient', json, token });
    assert.equal(status, 201, JSON.stringify(body));
    ids.push((body as unknown as { id: string }).id);
  }
  return ids;
}
