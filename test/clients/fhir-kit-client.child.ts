/** `fhir-kit-client` as its documentation uses it. */
import { Client, type FhirResource } from 'fhir-kit-client';
import {
  errand,
  type Facts,
  foundOnly,
  type Loose,
  OBSERVATIONS,
  observationOf,
  patientOf,
  statusesOf,
  transactionOf,
} from './facts.ts';

const { base, token, family } = errand();
const client = new Client({ baseUrl: base, bearerToken: token });
const loose = (resource: FhirResource): Loose => resource as unknown as Loose;

const capabilities = loose(await client.capabilityStatement());
const created = loose(await client.create({ resourceType: 'Patient', body: patientOf(family) }));
const read = await client.read({ resourceType: 'Patient', id: created.id });
const updated = loose(
  await client.update({ resourceType: 'Patient', id: created.id, body: { ...read, gender: 'female' } }),
);
const found = await client.resourceSearch({
  resourceType: 'Patient',
  searchParams: { family },
  options: { postSearch: true },
});
const transaction = await client.transaction({ body: transactionOf(family) });
for (let count = 1; count < OBSERVATIONS; count++)
  await client.create({ resourceType: 'Observation', body: observationOf(`Patient/${created.id}`, family) });

let paged = 0;
let page: FhirResource | undefined = await client.resourceSearch({
  resourceType: 'Observation',
  searchParams: { code: family, _count: 2 },
});
while (page) {
  paged += loose(page).entry?.length ?? 0;
  page = await client.nextPage({ bundle: page as Parameters<typeof client.nextPage>[0]['bundle'] });
}
const missing = await client.read({ resourceType: 'Patient', id: 'nobody' }).then(
  () => 200,
  (error: { response: { status: number } }) => error.response.status,
);

const facts: Facts = {
  fhirVersion: capabilities.fhirVersion,
  createdVersion: created.meta.versionId,
  readFamily: loose(read).name[0]?.family ?? '',
  updatedVersion: updated.meta.versionId,
  found: foundOnly(loose(found), created.id),
  transaction: statusesOf(loose(transaction)),
  paged,
  missing,
};
console.log(JSON.stringify(facts));
