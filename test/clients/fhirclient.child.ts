/** `fhirclient` (SMART on FHIR's own library) after a launch has left it a token. */
import { createRequire } from 'node:module';
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

interface Client {
  request(options: string | RequestOptions, more?: { pageLimit: number; flat: boolean }): Promise<unknown>;
  create(resource: object): Promise<unknown>;
  update(resource: object): Promise<unknown>;
}
interface RequestOptions {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}
type Smart = (request: object, response: object) => { client(state: object): Client };

// Its types describe the browser's entry; in Node it is a CommonJS function of request and response.
const smart = createRequire(import.meta.url)('fhirclient') as Smart;
const { base, token, family } = errand();
const client = smart({ headers: {} }, {}).client({ serverUrl: base, tokenResponse: { access_token: token } });
const get = async (path: string): Promise<Loose> => (await client.request(path)) as Loose;
const post = async (url: string, type: string, body: string): Promise<Loose> =>
  (await client.request({ url, method: 'POST', headers: { 'content-type': type }, body })) as Loose;

const capabilities = await get('metadata');
const created = (await client.create(patientOf(family))) as Loose;
const read = await get(`Patient/${created.id}`);
const updated = (await client.update({ ...read, gender: 'female' })) as Loose;
const form = new URLSearchParams({ family }).toString();
const found = await post('Patient/_search', 'application/x-www-form-urlencoded', form);
const transaction = await post('', 'application/fhir+json', JSON.stringify(transactionOf(family)));
for (let count = 1; count < OBSERVATIONS; count++) await client.create(observationOf(`Patient/${created.id}`, family));
const paged = (await client.request(`Observation?code=${family}&_count=2`, { pageLimit: 0, flat: true })) as unknown[];
const missing = await get('Patient/nobody').then(
  () => 200,
  (error: { status: number }) => error.status,
);

const facts: Facts = {
  fhirVersion: capabilities.fhirVersion,
  createdVersion: created.meta.versionId,
  readFamily: read.name[0]?.family ?? '',
  updatedVersion: updated.meta.versionId,
  found: foundOnly(found, created.id),
  transaction: statusesOf(transaction),
  paged: paged.length,
  missing,
};
console.log(JSON.stringify(facts));
