/** Existing data on the built-in store: reads before, during and after a backfill that is killed on the way, sealing anew, and undo. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { tokenKeyId } from '../../packages/sdk/src/seal/index.ts';
import { connectionFor, openPool } from '../../packages/server/src/db/index.ts';
import {
  backfill,
  existingRecords,
  HOW_MANY_KILLS,
  IDENTIFYING,
  sealUnderFire,
  withoutMeta,
} from '../support/backfill-journey.ts';
import { newProduct, type Product } from '../support/product.ts';
import { refusalOf, textOf } from '../support/attacker.ts';
import { UpstreamDoor } from '../support/upstream-door.ts';

const PATIENTS = 120;
const records = existingRecords(PATIENTS);
let product: Product;
let door: UpstreamDoor;

async function restart(existingData: string): Promise<void> {
  await product.stop();
  product.env = { KEYWARD_GATEWAY_EXISTING_DATA: existingData };
  await product.start();
}

before(async () => {
  product = await newProduct();
  await product.start();
  door = new UpstreamDoor({ url: 'http://store.invalid', socketPath: join(product.paths.sockets, 'store.sock') });
  await door.putAll(records);
});

const read = (path: string, role: string) => product.fhir({ path, role });

/** As if the key had been in use for longer than its cryptoperiod: it is rotated when it is next to protect. */
async function makeOverdue(keyId: string): Promise<void> {
  const pool = openPool(connectionFor(product.paths, 'custodian'), { max: 1, applicationName: 'backfill test' });
  const text = "UPDATE data_key SET activated_at = now() - interval '91 days' WHERE id = $1";
  assert.equal((await pool.query(text, [Buffer.from(keyId, 'hex')])).rowCount, 1);
  await pool.end();
}

test('[E9] what was written past the gateway is shown to nobody, unless the configuration says that it is being sealed', async () => {
  assert.equal(refusalOf(await read('/Patient/bf-1', 'clinician')), '502 GATEWAY_UPSTREAM_UNSEALED');
  await restart('backfill');
  const { status, body } = await read('/Patient/bf-1', 'clinician');
  assert.equal(status, 200);
  assert.deepEqual(
    withoutMeta(body as never),
    records.find(({ id }) => id === 'bf-1'),
  );
});

test('[A4] a record in plaintext is narrowed like a sealed one', async () => {
  const { body } = await read('/Patient/bf-1', 'billing');
  const text = JSON.stringify(body);
  assert.match(text, /Backfillsen1/);
  assert.doesNotMatch(text, /BFMRN1X|55\d{5}/, 'identifier and phone are not for billing');
  assert.match(text, /SUBSETTED/);
  const research = JSON.stringify((await read('/Patient/bf-1', 'researcher')).body);
  assert.doesNotMatch(research, IDENTIFYING);
  assert.match(research, /"birthDate":"1911"/);
});

test('[E9] a dry run counts and changes nothing', async () => {
  const { status, summary } = await backfill(product, '--dry-run');
  assert.equal(status, 0);
  assert.equal(summary.types['Patient']?.done, PATIENTS);
  assert.deepEqual(withoutMeta(await door.get('Patient', 'bf-0')), records[1]);
});

test('[E9] a record that is written for a patient in plaintext has the patient sealed first', async () => {
  const flag = {
    resourceType: 'Flag',
    status: 'active',
    code: { text: 'Backfillsen5 has a dog' },
    subject: { reference: 'Patient/bf-5' },
  };
  assert.equal((await product.fhir({ path: '/Flag', role: 'clinician', json: flag })).status, 201);
  assert.doesNotMatch(JSON.stringify(withoutMeta(await door.get('Patient', 'bf-5'))), IDENTIFYING);
});

test('[E9] killed five times it goes on, and in the end every record is sealed, none lost', async (t) => {
  await sealUnderFire(t, { product, door, records, kills: HOW_MANY_KILLS, pageSize: 25, isOurs: () => true });
  for (const record of records.slice(0, 9)) {
    const { status, body } = await read(`/${record.resourceType}/${record.id}`, 'clinician');
    assert.deepEqual([status, withoutMeta(body as never)], [200, record]);
  }
  const form = { identifier: 'urn:oid:1.2.36.146|BFMRN77X' };
  const found = await product.fhir({ path: '/Patient/_search', role: 'clinician', form });
  assert.equal(found.body['entry']?.[0]?.['resource']?.['id'], 'bf-77');
});

test('[E9] sealing anew changes every token and no value', async () => {
  const earlier = await door.get('Patient', 'bf-3');
  const { status, summary } = await backfill(product, '--reseal', '--type', 'Patient', 'Observation');
  assert.deepEqual([status, summary.types['Patient']?.done], [0, PATIENTS]);
  const later = await door.get('Patient', 'bf-3');
  const tokens = (resource: unknown) => [...JSON.stringify(resource).matchAll(/kw1\.[\w-]+/g)].map(([token]) => token);
  assert.ok(tokens(earlier).length > 0);
  assert.deepEqual(
    tokens(earlier).filter((token) => tokens(later).includes(token)),
    [],
  );
  assert.deepEqual(
    withoutMeta((await read('/Patient/bf-3', 'clinician')).body as never),
    records.find(({ id }) => id === 'bf-3'),
  );
});

test('[K3] after a rotation only what stands under the key of before is sealed anew', async () => {
  const [rotated, other] = [await door.get('Patient', 'bf-6'), await door.get('Patient', 'bf-7')];
  const token = /kw1\.[\w-]+/.exec(JSON.stringify(rotated))?.[0] ?? '';
  await makeOverdue(tokenKeyId(token));
  await restart('backfill');
  const flags = ['--rekey', '--type', 'Patient', 'Observation'];
  const { status, summary } = await backfill(product, ...flags);
  assert.equal(status, 0);
  for (const { found, done, before: left } of Object.values(summary.types))
    assert.deepEqual([found, done, left], [PATIENTS, 1, PATIENTS - 1]);
  const later = JSON.stringify(await door.get('Patient', 'bf-6'));
  const keyIds = new Set([...later.matchAll(/kw1\.[\w-]+/g)].map(([text]) => tokenKeyId(text)));
  assert.equal(keyIds.size, 1);
  assert.equal(keyIds.has(tokenKeyId(token)), false);
  assert.deepEqual(await door.get('Patient', 'bf-7'), other);
  assert.deepEqual(
    withoutMeta((await read('/Patient/bf-6', 'clinician')).body as never),
    records.find(({ id }) => id === 'bf-6'),
  );
  assert.equal((await backfill(product, ...flags)).summary.types['Patient']?.done, 0);
});

test('[L1] an order that writes nothing is recorded too, with the records it looked into', async () => {
  const parameter = [
    { name: 'mode', valueCode: 'seal' },
    { name: 'type', valueCode: 'Patient' },
    { name: 'count', valueInteger: 2 },
  ];
  const json = { resourceType: 'Parameters', parameter };
  const { status, headers } = await product.fhir({ path: '/$keyward-backfill', role: 'admin', json });
  assert.equal(status, 200);
  const entries = await product.ledger(`&correlationId=${String(headers['x-correlation-id'])}`);
  const looked = entries.find((entry) => textOf(entry['class']) === 'admin');
  const members = (name: string) => Object.keys(looked?.['event']?.[name] ?? {}).length;
  assert.equal(members('resources'), 2);
  assert.notEqual(members('keyIds'), 0);
});

test('[E9] only an administrator orders it, and seals go only where the configuration says so', async () => {
  const json = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'mode', valueCode: 'seal' },
      { name: 'type', valueCode: 'Patient' },
    ],
  };
  const order = (role: string, mode: string) =>
    product.fhir({
      path: '/$keyward-backfill',
      role,
      json: JSON.parse(JSON.stringify(json).replace('seal', mode)) as object,
    });
  assert.equal(refusalOf(await order('clinician', 'seal')), '403 ACCESS_DENIED');
  assert.equal(refusalOf(await order('admin', 'unseal')), '403 GATEWAY_UNDO_OFF');
  assert.equal(refusalOf(await order('admin', 'melt')), '400 GATEWAY_BACKFILL_ORDER');
});

test('[E9] undone, the upstream holds what it held, equal to the original', async () => {
  await restart('undo');
  const refused = await product.fhir({ path: '/Patient', role: 'clinician', json: { resourceType: 'Patient' } });
  assert.equal(refusalOf(refused), '403 GATEWAY_UNDO_ON');
  const { status, summary } = await backfill(
    product,
    '--undo',
    '--type',
    'Patient',
    'Observation',
    'Organization',
    'Flag',
  );
  assert.equal(status, 0, JSON.stringify(summary));
  for (const record of records) assert.deepEqual(withoutMeta(await door.get(record.resourceType, record.id)), record);
  assert.deepEqual(
    withoutMeta((await read('/Patient/bf-8', 'clinician')).body as never),
    records.find(({ id }) => id === 'bf-8'),
  );
});
