/** Tests of conditional references: what is looked into for them, and what is left to who sends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError } from '../../core/index.ts';
import type { FhirResource } from '../../phi/index.ts';
import { decision } from '../search/testing.ts';
import { createBench } from '../testing.ts';
import { resolveReferences } from './resolve.ts';

async function resolved(resource: FhirResource): Promise<ReadonlyMap<string, string>> {
  const bench = createBench(async () => ({
    status: 200,
    headers: {},
    body: { resourceType: 'Bundle', type: 'searchset', entry: [{ resource: { resourceType: 'Patient', id: 'p1' } }] },
  }));
  const exchange = bench.exchange();
  const { resourceType: type } = resource;
  exchange.operations = [
    { interaction: 'create', type, id: '', resource, fullUrl: '', ifMatch: undefined, decision: decision() },
  ];
  await resolveReferences(exchange);
  return exchange.references;
}

/** A list where R4 has one value: whoever rewrites the resource stumbles over it. */
const FLAWED = { resourceType: 'Observation', status: ['final'] };

test('[E1] a resource without a conditional reference is not rewritten to look for one, however deep it is', async () => {
  assert.deepEqual(await resolved({ ...FLAWED, extension: [{ url: 'http://example.org/a?b' }] }), new Map());
});

test('[E1] a conditional reference is found wherever a reference may stand', async () => {
  const reference = 'Patient?_id=p1';
  const expected = new Map([[reference, 'Patient/p1']]);
  const places: FhirResource[] = [
    { resourceType: 'Observation', subject: { reference } },
    { resourceType: 'Observation', extension: [{ url: 'http://example.org/a', valueReference: { reference } }] },
    { resourceType: 'Observation', contained: [{ resourceType: 'Encounter', subject: { reference } }] },
  ];
  for (const place of places) assert.deepEqual(await resolved(place), expected);
  await assert.rejects(resolved({ ...FLAWED, subject: { reference } }), KeywardError);
});
