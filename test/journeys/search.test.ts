/** Search through the seal, on the built-in store: links, what comes along, second looks, parts of resources, everything of a patient. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { textOf } from '../support/attacker.ts';
import { type Answer, type Body, type Call, type Product, startProduct } from '../support/product.ts';

const MRN = 'urn:oid:1.2.3.4';

let product: Product;
let hospital: string;
let ann: string;
let annVisit: string;
let otto: string;

before(async () => {
  product = await startProduct();
  hospital = await created({ resourceType: 'Organization', name: 'General Hospital' });
  ann = await created(patient('Searchable', ['Ann'], '1980-05-12', 'M-1'));
  otto = await created(patient('Searchable', ['Otto'], '1980-11-30', 'M-2'));
  annVisit = await created(visit(ann));
  for (const owner of [ann, otto]) for (const code of ['718-7', '4548-4']) await created(observation(owner, code));
});

const patient = (family: string, given: string[], birthDate: string, number: string) => ({
  resourceType: 'Patient',
  identifier: [{ system: MRN, value: number }],
  name: [{ family, given, text: `${given.join(' ')} ${family}` }],
  birthDate,
  managingOrganization: { reference: `Organization/${hospital}` },
});
const visit = (owner: string) => ({
  resourceType: 'Encounter',
  status: 'finished',
  class: { code: 'AMB' },
  subject: { reference: `Patient/${owner}` },
});
const observation = (owner: string, code: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code }] },
  subject: { reference: `Patient/${owner}` },
  ...(owner === ann ? { encounter: { reference: `Encounter/${annVisit}` } } : {}),
  note: [{ text: 'Seen in the morning.' }],
});

async function created(resource: {
  readonly resourceType: string;
  readonly [member: string]: unknown;
}): Promise<string> {
  const { status, body } = await clinician({ path: `/${resource.resourceType}`, json: resource });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

const clinician = (call: Call): Promise<Answer> => product.fhir({ role: 'clinician', ...call });
const search = (type: string, form: Record<string, string>, more: Partial<Call> = {}) =>
  clinician({ path: `/${type}/_search`, form, ...more });
const codeOf = ({ body }: Answer): unknown => body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code'];

interface Entry {
  readonly resource: { readonly resourceType: string; readonly id: string; readonly [member: string]: unknown };
  readonly search: { readonly mode: string };
}
const entriesOf = ({ status, body }: Answer): Entry[] => {
  assert.equal(status, 200, JSON.stringify(body));
  return (body['entry'] ?? []) as unknown as Entry[];
};
const idsOf = (answer: Answer) => entriesOf(answer).map(({ resource }) => resource.id);
const namesOf = (answer: Answer) =>
  entriesOf(answer)
    .map(({ resource, search: { mode } }) => `${mode} ${resource.resourceType}`)
    .toSorted();

test('[E7] a chain ends at a sealed value, a clear one, or another chain', async () => {
  const found = async (form: Record<string, string>) => entriesOf(await search('Observation', form)).length;
  assert.equal(await found({ 'subject:Patient.identifier': `${MRN}|M-1` }), 2);
  assert.equal(await found({ 'patient.identifier': 'M-1' }), 2);
  assert.equal(await found({ 'patient.identifier': 'M-3' }), 0);
  assert.equal(await found({ 'patient.name': 'otto', code: '718-7' }), 1);
  assert.equal(await found({ 'patient.organization.name': 'General Hospital' }), 4);
  assert.equal(await found({ 'encounter.patient.family': 'searchable' }), 2);
  assert.equal(await found({ 'patient.birthdate': 'lt1980' }), 0);
});

test('[E7] patients are found by what refers to them', async () => {
  assert.deepEqual(idsOf(await search('Patient', { '_has:Encounter:patient:status': 'finished' })), [ann]);
  const both = await search('Patient', { '_has:Observation:patient:code': '718-7' });
  assert.deepEqual(idsOf(both).toSorted(), [ann, otto].toSorted());
  assert.deepEqual(idsOf(await search('Organization', { '_has:Patient:organization:identifier': `${MRN}|M-2` })), [
    hospital,
  ]);
  assert.deepEqual(idsOf(await search('Organization', { '_has:Patient:organization:identifier': 'M-9' })), []);
});

test('[A3] what comes along is what the caller may read by itself, and says that it came along', async () => {
  const form = { _id: ann, _include: 'Patient:organization', _revinclude: 'Observation:patient' };
  const all = await search('Patient', form);
  assert.deepEqual(namesOf(all), [
    'include Observation',
    'include Observation',
    'include Organization',
    'match Patient',
  ]);
  assert.equal(all.body['total'], 1);
  assert.match(JSON.stringify(all.body), /Seen in the morning/);
  // Billing reads organizations, but no observations.
  const billing = await search('Patient', form, { role: 'billing' });
  assert.deepEqual(namesOf(billing), ['include Organization', 'match Patient']);
  const iterated = await search('Encounter', {
    _id: annVisit,
    _include: 'Encounter:patient',
    '_include:iterate': 'Patient:organization',
  });
  assert.deepEqual(namesOf(iterated), ['include Organization', 'include Patient', 'match Encounter']);
});

test('[A3] a patient sees what comes along only of the own record', async () => {
  const token = await product.token({ role: 'patient', patient: ann });
  const answer = await product.fhir({ token, path: `/Patient?_revinclude=Observation:patient` });
  assert.deepEqual(namesOf(answer), ['include Observation', 'include Observation', 'match Patient']);
  assert.equal(
    codeOf(await product.fhir({ token, path: '/Patient?_has:Observation:patient:code=1' })),
    'ACCESS_DENIED',
  );
});

test('[E7] what came along with somebody whose birthday is another one is left out with them', async () => {
  const answer = await search('Patient', { birthdate: '1980-05-12', _revinclude: 'Observation:patient' });
  assert.deepEqual(namesOf(answer), ['include Observation', 'include Observation', 'match Patient']);
  assert.deepEqual(entriesOf(answer)[0]?.resource.id, ann);
});

test('[E7] dates are searched by range, and every day is right', async () => {
  const found = async (...dates: string[]) => {
    const body = dates.map((date) => `birthdate=${date}`).join('&');
    const answer = await clinician({
      path: '/Patient/_search',
      raw: `family=searchable&${body}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    return idsOf(answer)
      .map((id) => (id === ann ? 'ann' : 'otto'))
      .toSorted()
      .join();
  };
  assert.equal(await found('ge1980-05-12'), 'ann,otto');
  assert.equal(await found('gt1980-05-12'), 'otto');
  assert.equal(await found('ge1980-05', 'le1980-05'), 'ann');
  assert.equal(await found('ge1979', 'lt1980'), '');
  assert.equal(await found('lt1981'), 'ann,otto');
  assert.equal(await found('1980-11-30,1980-05-12'), 'ann,otto');
});

test('[E7] :exact, :not and :missing', async () => {
  const found = async (form: Record<string, string>) => idsOf(await search('Patient', form)).length;
  assert.equal(await found({ 'family:exact': 'Searchable' }), 2);
  assert.equal(await found({ 'family:exact': 'searchable' }), 0);
  assert.deepEqual(idsOf(await search('Patient', { family: 'searchable', 'identifier:not': `${MRN}|M-1` })), [otto]);
  assert.equal(await found({ family: 'searchable', 'identifier:missing': 'true' }), 0);
});

test('[A4] what is not selected is neither shown nor opened, and the part cannot be written back', async () => {
  const earlier = (await product.ledger()).length;
  const answer = await search('Patient', {
    family: 'searchable',
    birthdate: '1980-05-12',
    _elements: 'managingOrganization',
  });
  const [{ resource } = {}] = entriesOf(answer);
  assert.deepEqual(Object.keys(resource ?? {}).toSorted(), ['id', 'managingOrganization', 'meta', 'resourceType']);
  const read = await clinician({ path: `/Patient/${ann}?_elements=managingOrganization` });
  assert.match(String(read.headers['etag']), /-subsetted"$/);
  assert.doesNotMatch(JSON.stringify(read.body), /Searchable|1980-05-12/);
  const opened = (await product.ledger()).slice(earlier).filter((entry) => textOf(entry['class']) === 'disclosure');
  assert.deepEqual(
    opened.map((entry) => ((entry['event']?.['classes'] ?? []) as unknown as string[]).toSorted().join()),
    ['birthDate,name', ''],
    'what the search compares is opened, and nothing for the read',
  );
  const back = await clinician({ method: 'PUT', path: `/Patient/${ann}`, json: read.body });
  assert.equal(codeOf(back), 'ACCESS_PARTIAL_WRITE');
});

test('[A4] summaries', async () => {
  const summary = await clinician({ path: `/Observation?patient=${ann}&_summary=true` });
  assert.equal(entriesOf(summary).length, 2);
  assert.doesNotMatch(JSON.stringify(summary.body), /morning/);
  const { body } = await clinician({ path: `/Observation?patient=${ann}&_summary=count` });
  assert.deepEqual([body['total'], body['entry']], [2, undefined]);
  assert.equal(codeOf(await clinician({ path: `/Patient/${ann}?_summary=count` })), 'FHIR_PARAM_UNSUPPORTED');
});

test('[A3] everything of a patient is what the caller may read of it', async () => {
  const all = await clinician({ path: `/Patient/${ann}/$everything` });
  assert.deepEqual(namesOf(all), [
    'include Encounter',
    'include Observation',
    'include Observation',
    'include Organization',
    'match Patient',
  ]);
  const posted = await clinician({
    path: `/Patient/${ann}/$everything`,
    json: { resourceType: 'Parameters', parameter: [{ name: '_type', valueString: 'Observation' }] },
  });
  assert.deepEqual([...new Set(namesOf(posted))], ['include Observation']);
  const billing = await clinician({ path: `/Patient/${ann}/$everything`, role: 'billing' });
  assert.deepEqual([...new Set(namesOf(billing))], ['include Encounter', 'include Organization', 'match Patient']);
  const token = await product.token({ role: 'patient', patient: ann });
  assert.equal((await product.fhir({ token, path: `/Patient/${ann}/$everything` })).status, 200);
  assert.equal(codeOf(await product.fhir({ token, path: `/Patient/${otto}/$everything` })), 'ACCESS_DENIED');
  assert.equal(codeOf(await clinician({ path: `/Patient/${randomUUID()}/$everything` })), 'FHIR_NOT_FOUND');
  const refused: Readonly<Record<string, string>> = {
    '?name=x': 'FHIR_PARAM_UNSUPPORTED',
    '?_type=Elephant': 'FHIR_PARAM_INVALID',
    '?_since=yesterday': 'FHIR_PARAM_INVALID',
    '?_since=2026-13-45T00:00:00Z': 'FHIR_PARAM_INVALID',
    '?start=2020-01-01': 'FHIR_PARAM_UNSUPPORTED',
    '?end=2020': 'FHIR_PARAM_UNSUPPORTED',
    '?_count=1&_count=2': 'FHIR_PARAM_INVALID',
  };
  for (const [query, code] of Object.entries(refused))
    assert.equal(codeOf(await clinician({ path: `/Patient/${ann}/$everything${query}` })), code, query);
});

test('[P1] pages of searches and of everything follow links that tell nothing, and keep what was asked', async () => {
  const pages = async (first: Answer): Promise<Answer[]> => {
    const links = (first.body['link'] ?? []) as unknown as { relation: string; url: string }[];
    const next = links.find(({ relation }) => relation === 'next')?.url;
    if (next === undefined) return [first];
    assert.match(next, /\?_cursor=kw1\.[A-Za-z0-9_-]+$/);
    return [first, ...(await pages(await clinician({ path: next.slice(product.base.length) })))];
  };
  const form = { family: 'searchable', _count: '1', _revinclude: 'Observation:patient', _elements: 'birthDate' };
  const searched = await pages(await search('Patient', form));
  assert.equal(searched.length, 2);
  for (const page of searched) {
    assert.deepEqual(namesOf(page), ['include Observation', 'include Observation', 'match Patient']);
    assert.doesNotMatch(JSON.stringify(page.body), /Searchable/);
  }
  const everything = await pages(await clinician({ path: `/Patient/${ann}/$everything?_count=2` }));
  assert.ok(everything.length > 1);
  assert.equal(new Set(everything.flatMap(idsOf)).size, 5);
});

test('[E7] metadata tells what can be asked', async () => {
  const { body } = await product.fhir({ path: '/metadata' });
  const resources = body['rest']?.[0]?.['resource'] as unknown as Body[];
  const membersOf = <T>(name: string, member: string): T[] => {
    const found = resources.find((resource) => textOf(resource['type']) === name);
    return (found?.[member] ?? []) as unknown as T[];
  };
  const parameters = membersOf<{ name: string; documentation?: string }>('Patient', 'searchParam');
  assert.match(parameters.find(({ name }) => name === 'birthdate')?.documentation ?? '', /ge, gt, le or lt/);
  assert.ok(!parameters.some(({ name }) => name === 'phonetic'));
  assert.ok(membersOf<string>('Observation', 'searchInclude').includes('Observation:patient'));
  assert.ok(membersOf<string>('Patient', 'searchRevInclude').includes('Observation:patient'));
  assert.ok(membersOf<{ name: string }>('Patient', 'operation').some(({ name }) => name === 'everything'));
});
