/** A custodian on one host and the gateway on another: two whole products, of which the second has no custodian of its own. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pidOf } from '../support/processes.ts';
import { type Body, freePorts, newProduct, type Product, startProduct } from '../support/product.ts';

let keys: Product;
let data: Product;
let certificates: string;

before(async () => {
  const [port = 0] = await freePorts(1);
  keys = await startProduct({ env: { KEYWARD_KEYS_LISTEN_HOST: '127.0.0.1', KEYWARD_KEYS_LISTEN_PORT: String(port) } });
  certificates = mkdtempSync(join(tmpdir(), 'keyward-clients-'));
  cpSync(keys.paths.clientCertificates, certificates, { recursive: true });
  data = await newProduct({
    env: { KEYWARD_KEYS_CUSTODIAN_URL: `https://localhost:${port}`, KEYWARD_KEYS_CLIENT_CERTIFICATES: certificates },
  });
  await data.start();
});
after(() => rmSync(certificates, { recursive: true, force: true }));

const patient = { resourceType: 'Patient', name: [{ family: 'Elsewhere' }], birthDate: '1980-02-03' };
const familyOf = (body: Body) => body['name']?.[0]?.['family'];

test('[T4] what the gateway seals with keys from another host comes back, and no root key is beside it', async () => {
  const created = await data.fhir({ path: '/Patient', role: 'clinician', json: patient });
  assert.equal(created.status, 201);
  const read = await data.fhir({ path: `/Patient/${created.body['id'] as unknown as string}`, role: 'clinician' });
  assert.equal(familyOf(read.body), 'Elsewhere');
  assert.equal(await pidOf(data, 'custodian'), undefined);
  assert.equal(existsSync(join(data.paths.rootKeyDir, 'root.key')), false);
  assert.equal(existsSync(join(keys.paths.rootKeyDir, 'root.key')), true);
});

test('[K6] the custodian records on its own host which process of the other had which keys, for whom and why', async () => {
  const accesses = (await keys.ledger('&class=key.access')) as unknown as readonly { readonly event?: Body }[];
  const ofPatients = accesses.filter(({ event }) => event?.['actor']?.['client'] === ('gateway' as unknown as Body));
  assert.ok(ofPatients.some(({ event }) => event?.['purpose'] === ('TREAT' as unknown as Body)));
});

test('[S1] while the other host is down nothing is opened that is not held, and it is told', async () => {
  await keys.stop();
  const readiness = await data.call(data.gatewayPort, { path: '/readyz' });
  assert.equal(readiness.status, 503);
  const refused = await data.fhir({ path: '/Patient', role: 'clinician', json: patient });
  assert.equal(refused.status, 503);
  await keys.start();
  assert.equal((await data.fhir({ path: '/Patient', role: 'clinician', json: patient })).status, 201);
});
