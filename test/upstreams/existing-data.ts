/** HAPI's database as it was before Keyward: two thousand patients in plaintext, sealed under kill -9, and taken back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  backfill,
  existingRecords,
  HOW_MANY_KILLS,
  IDENTIFYING,
  sealUnderFire,
  withoutMeta,
} from '../support/backfill-journey.ts';
import type { Product } from '../support/product.ts';
import { UpstreamDoor } from '../support/upstream-door.ts';
import type { Hapi } from './hapi/hapi.ts';

const PATIENTS = 2_000;
const ENTRIES_PER_TRANSACTION = 500;

export function existingData(started: () => { readonly hapi: Hapi; readonly product: Product }): void {
  const records = existingRecords(PATIENTS);
  let product: Product;
  let door: UpstreamDoor;
  const restart = async (existing: string) => {
    await product.stop();
    product.env = { ...product.env, KEYWARD_GATEWAY_EXISTING_DATA: existing };
    await product.start();
  };
  before(async () => {
    ({ product } = started());
    door = new UpstreamDoor(started().hapi);
    for (let first = 0; first < records.length; first += ENTRIES_PER_TRANSACTION)
      await door.putAll(records.slice(first, first + ENTRIES_PER_TRANSACTION));
    await restart('backfill');
  });
  after(() => door[Symbol.dispose]());

  test('[E9] two thousand patients in plaintext are sealed in place, killed five times on the way, and none is lost', async (t) => {
    await sealUnderFire(t, { product, door, records, kills: HOW_MANY_KILLS, pageSize: 100, isOurs });
    const { status, body } = await product.fhir({ path: '/Patient/bf-1999', role: 'clinician' });
    assert.deepEqual([status, withoutMeta(body as never)], [200, records.find(({ id }) => id === 'bf-1999')]);
    const form = { identifier: 'urn:oid:1.2.36.146|BFMRN1234X' };
    const found = await product.fhir({ path: '/Patient/_search', role: 'clinician', form });
    assert.equal(found.body['entry']?.[0]?.['resource']?.['id'], 'bf-1234');
  });

  test('[E9] undone, HAPI holds them again, equal to the original', async (t) => {
    await restart('undo');
    const { status, summary } = await backfill(product, '--undo', '--type', 'Patient', 'Observation', 'Organization');
    t.diagnostic(JSON.stringify(summary.types));
    assert.equal(status, 0);
    for (const type of ['Patient', 'Observation', 'Organization']) {
      const held = new Map((await door.all(type)).filter(isOurs).map((record) => [record.id, withoutMeta(record)]));
      const expected = records.filter(({ resourceType }) => resourceType === type);
      assert.deepEqual([...held.keys()].toSorted(), expected.map(({ id }) => id).toSorted());
      for (const record of expected) assert.deepEqual(held.get(record.id), record);
      assert.match(JSON.stringify([...held.values()]), type === 'Organization' ? /Backfill General/ : IDENTIFYING);
    }
  });
}

/** The journey that ran before has left records of its own. */
const isOurs = ({ id }: { readonly id: string }): boolean => id.startsWith('bf-') || id === 'hospital';
