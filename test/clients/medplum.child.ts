/** Medplum's client, pointed at a server that is not Medplum. */
import { MedplumClient, OperationOutcomeError } from '@medplum/core';
import type { Patient } from '@medplum/fhirtypes';
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
const client = new MedplumClient({ baseUrl: new URL('/', base).href, fhirUrlPath: 'fhir', accessToken: token });

const capabilities = await client.get<Loose>(client.fhirUrl('metadata'));
const created = await client.createResource<Patient>(patientOf(family));
const read = await client.readResource('Patient', created.id);
const updated = await client.updateResource<Patient>({ ...read, gender: 'female' });
const form = new URLSearchParams({ family }).toString();
const found = await client.post<Loose>(client.fhirUrl('Patient', '_search'), form, 'application/x-www-form-urlencoded');
const transaction = await client.executeBatch(transactionOf(family));
for (let count = 1; count < OBSERVATIONS; count++)
  await client.createResource(observationOf(`Patient/${created.id}`, family));
let paged = 0;
for await (const page of client.searchResourcePages('Observation', { code: family, _count: '2' })) paged += page.length;
const missing = await client.readResource('Patient', 'nobody').then(
  () => 200,
  (error: unknown) =>
    error instanceof OperationOutcomeError && error.outcome.issue?.[0]?.code === 'not-found' ? 404 : 0,
);

const facts: Facts = {
  fhirVersion: capabilities.fhirVersion,
  createdVersion: created.meta?.versionId ?? '',
  readFamily: read.name?.[0]?.family ?? '',
  updatedVersion: updated.meta?.versionId ?? '',
  found: foundOnly(found, created.id),
  transaction: statusesOf(transaction as unknown as Loose),
  paged,
  missing,
};
console.log(JSON.stringify(facts));
