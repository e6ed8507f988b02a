/** Canary values: a made-up patient whose every text, number and date of life can be recognised wherever it turns up. */
import { randomUUID } from 'node:crypto';
import type { Call } from './product.ts';

/** In every text below; no word of any program or list that lies in a data directory, as the Canary Islands do. */
const NAME = 'Kolibri';
const SSN = '900-55-1234';
const MRN = 'KOLIBRI-MRN-0001';
const PHONE = '+1 555 867 5309';
const EMAIL = 'someone@kolibri.example';
const BORN = '1961-11-23';
const DIED = '2021-11-23';
const ZIP = 'KQ-99901';
const PHOTO = Buffer.from('a photo of a Kolibri').toString('base64');

/** What must be found in no file and at no upstream. Years and codes may; lower case catches what was normalised. */
export const CANARIES: ReadonlySet<string> = new Set([
  NAME,
  NAME.toLowerCase(),
  NAME.toUpperCase(),
  SSN,
  SSN.replaceAll('-', ''),
  '867 5309',
  '8675309',
  ZIP,
  ZIP.toLowerCase(),
  // A month and day alone are in every log of that day.
  BORN,
  DIED,
  PHOTO,
  Buffer.from(NAME).toString('base64').slice(0, -1),
  Buffer.from(NAME).toString('hex'),
]);

/** Canaries in every position of a Patient that holds text or tells of a life. */
export const PATIENT = {
  resourceType: 'Patient',
  text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Kolibri narrative</div>' },
  extension: [
    { url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueString: 'Kolibrimother' },
    { url: 'http://hl7.org/fhir/StructureDefinition/patient-birthPlace', valueAddress: { city: 'Kolibriville' } },
    { url: 'https://hospital.example/wedding', valueDate: BORN },
    { url: 'https://hospital.example/nested', extension: [{ url: 'note', valueString: 'Kolibri in an extension' }] },
  ],
  identifier: [
    { system: 'http://hl7.org/fhir/sid/us-ssn', value: SSN, type: { text: 'Kolibri type' } },
    { system: 'https://hospital.example/mrn', value: MRN, assigner: { display: 'Kolibri hospital' } },
  ],
  name: [
    {
      text: 'Kolibri Full Name',
      family: 'Kolibrifamily',
      given: ['Kolibrigiven', 'Kolibrisecond'],
      prefix: ['Kolibridoc'],
    },
  ],
  telecom: [
    { system: 'phone', value: PHONE },
    { system: 'email', value: EMAIL },
    { system: 'pager', value: 'Kolibri pager' },
  ],
  birthDate: BORN,
  _birthDate: {
    extension: [
      { url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime', valueDateTime: `${BORN}T04:05:06Z` },
    ],
  },
  deceasedDateTime: DIED,
  address: [
    {
      text: 'Kolibri address',
      line: ['1 Kolibri Street'],
      city: 'Kolibritown',
      district: 'Kolibri district',
      postalCode: ZIP,
    },
  ],
  photo: [{ contentType: 'image/png', data: PHOTO, title: 'Kolibri photo', url: 'https://kolibri.example/photo' }],
  contact: [{ name: { family: 'Kolibricontact' }, telecom: [{ system: 'phone', value: PHONE }] }],
  contained: [{ resourceType: 'Practitioner', id: 'p1', name: [{ family: 'Kolibricontained' }] }],
};

const resultOf = (patient: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }], text: 'Kolibri label' },
  subject: { reference: patient, display: 'Kolibri display', identifier: { value: MRN } },
  valueString: 'Kolibri value',
  note: [{ authorString: 'Kolibri author', text: 'Kolibri note' }],
});

const formOf = (patient: string) => ({
  resourceType: 'QuestionnaireResponse',
  status: 'completed',
  subject: { reference: patient },
  item: [{ linkId: '1', text: 'Kolibri question', answer: [{ valueDate: BORN }, { valueString: 'Kolibri answer' }] }],
});

const documentOf = (patient: string) => ({
  resourceType: 'DocumentReference',
  status: 'current',
  description: 'Kolibri description',
  subject: { reference: patient },
  content: [
    {
      attachment: { contentType: 'text/plain', data: PHOTO, title: 'Kolibri title', url: 'https://kolibri.example/d' },
    },
  ],
});

/** All of them in one transaction whose entry names are record numbers, as some clients like them. */
export function canaryTransaction() {
  const patient = `urn:record:${SSN}`;
  const resources = [PATIENT, resultOf(patient), formOf(patient), documentOf(patient)];
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: resources.map((resource, index) => ({
      fullUrl: index === 0 ? patient : `urn:record:${MRN}:${index}`,
      resource,
      request: { method: 'POST', url: resource.resourceType },
    })),
  };
}

/** Searches by canaries as they must be asked: in the body of a POST. */
export const CANARY_SEARCHES: readonly Record<string, string>[] = [
  { identifier: SSN },
  { identifier: `http://hl7.org/fhir/sid/us-ssn|${SSN}` },
  { family: 'Kolibrifamily' },
  { 'family:exact': 'Kolibrifamily' },
  { given: 'Kolibrigiven', name: 'Kolibrifamily' },
  { phone: PHONE },
  { email: EMAIL },
  { telecom: PHONE },
  { birthdate: BORN },
  { birthdate: `ge${BORN}` },
  { 'address-postalcode': ZIP, 'address-city': 'Kolibritown' },
];

const Q = encodeURIComponent;
const bundle = (type: string, entry: object): Call => ({
  path: '/',
  json: { resourceType: 'Bundle', type, entry: [entry] },
});
const get = (path: string): Call => ({ path });
const post = (json: object, headers: Record<string, string> = {}): Call => ({ path: '/Patient', json, headers });
const observation = (members: object): Call => ({
  path: '/Observation',
  json: { resourceType: 'Observation', status: 'final', code: { coding: [{ code: 'test' }] }, ...members },
});
const form = (fields: Record<string, string>): Call => ({ method: 'POST', path: '/Patient/_search', form: fields });
const patch = (operations: readonly object[]): Call => ({
  method: 'PATCH',
  path: '/Patient/x1',
  raw: JSON.stringify(operations),
  headers: { 'content-type': 'application/json-patch+json' },
});
const observationOf = (reference: string) => ({
  resource: {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ code: 'test' }] },
    subject: { reference },
  },
  request: { method: 'POST', url: 'Observation' },
});
const OBSERVATION_OF_NOBODY = observationOf('Patient?family=Kolibrinobody');

/** Conditions by canaries as they may be stated: in a header, or in an entry of a bundle. */
export const CANARY_CONDITIONS: readonly Call[] = [
  post(PATIENT, { 'if-none-exist': `identifier=${Q(SSN)}` }),
  post(PATIENT, { 'if-none-exist': `family=Kolibrifamily&birthdate=${BORN}` }),
  bundle('transaction', { resource: PATIENT, request: { method: 'PUT', url: `Patient?identifier=${Q(SSN)}` } }),
  bundle('transaction', {
    resource: PATIENT,
    request: { method: 'POST', url: 'Patient', ifNoneExist: `phone=${Q(PHONE)}` },
  }),
  bundle('transaction', observationOf(`Patient?identifier=${SSN}`)),
];

/** Requests that carry a canary where none may be: each must be refused, tell nobody and leave nothing. */
export const CANARY_MISUSES: readonly (readonly [what: string, call: Call])[] = [
  // URLs
  ['identifier in the URL', get(`/Patient?identifier=${Q(SSN)}`)],
  ['name in the URL', get('/Patient?family=Kolibrifamily')],
  ['birth date in the URL', get(`/Patient?birthdate=${BORN}`)],
  ['birth date with a prefix', get(`/Patient?birthdate=ge${BORN}`)],
  ['phone in the URL', get(`/Patient?phone=${Q(PHONE)}`)],
  ['address in the URL', get('/Patient?address=Kolibritown')],
  ['an exact name', get('/Patient?family:exact=Kolibrifamily')],
  ['a part of a name', get('/Patient?name:contains=Kolibri')],
  ['an identifier of a type', get(`/Patient?identifier:of-type=MR|MR|${MRN}`)],
  ['an encoded parameter name', get('/Patient?%66amily=Kolibrifamily')],
  ['a sealed value of another type', get('/Observation?value-string=Kolibri')],
  ['a chain', get('/Observation?patient.family=Kolibrifamily')],
  ['a chain through a type', get('/Observation?subject:Patient.family=Kolibrifamily')],
  ['a chain to a birth date', get(`/Observation?patient:Patient.birthdate=${BORN}`)],
  ['a long chain', get('/DiagnosticReport?result.subject:Patient.family=Kolibrifamily')],
  ['a reference by identifier', get(`/Observation?subject:identifier=${MRN}`)],
  ['a reverse chain', get('/Patient?_has:Observation:patient:value-string=Kolibri')],
  ['a filter', get('/Patient?_filter=family%20eq%20Kolibrifamily')],
  ['full text', get('/Patient?_content=Kolibri')],
  ['narrative text', get('/Patient?_text=Kolibri')],
  ['a parameter nobody knows', get('/Patient?Kolibri=Kolibri')],
  ['a sort key', get('/Patient?_sort=Kolibri')],
  ['a format', get('/Patient?_format=Kolibri')],
  ['a cursor', get('/Patient?_cursor=Kolibri')],
  ['a read with parameters', get('/Patient/1?name=Kolibri')],
  ['parameters of a _search in the URL', { ...form({ _count: '1' }), path: '/Patient/_search?family=Kolibrifamily' }],
  ['a type', get('/Kolibri/1')],
  ['an operation', get('/Patient/$match?Kolibri=1')],
  ['a path that is not normal', get('/Patient/Kolibri;1')],
  // forms
  ['a prefix search on a name', form({ 'name:contains': 'Kolibri' })],
  ['a form field nobody knows', form({ Kolibri: 'Kolibri' })],
  // headers
  ['If-None-Exist', post({ resourceType: 'Patient' }, { 'if-none-exist': `identifier:of-type=MR|MR|${SSN}` })],
  ['If-None-Exist in raw UTF-8', post({ resourceType: 'Patient' }, { 'if-none-exist': 'family=Kolibrifamilyé' })],
  ['a method in a header', post({ resourceType: 'Patient' }, { 'x-http-method-override': 'Kolibri' })],
  ['a content type', post({ resourceType: 'Patient' }, { 'content-type': 'text/Kolibri' })],
  ['a token', { ...get('/Patient'), headers: { authorization: 'Bearer Kolibri' } }],
  [
    'If-Match',
    { ...post({ resourceType: 'Patient', id: 'x1' }, { 'if-match': 'Kolibri' }), path: '/Patient/x1', method: 'PUT' },
  ],
  // bodies
  ['no JSON', { path: '/Patient', raw: '{"Kolibri' }],
  ['a member nobody knows', post({ resourceType: 'Patient', Kolibri: 'Kolibri' })],
  ['a resource type', post({ resourceType: 'Kolibri' })],
  ['a date that is none', post({ resourceType: 'Patient', birthDate: 'Kolibri' })],
  ['a number that is none', observation({ valueQuantity: { value: 'Kolibri' } })],
  [
    'an identifier as id',
    {
      ...post({ resourceType: 'Patient', id: SSN, identifier: [{ value: SSN }] }),
      path: `/Patient/${SSN}`,
      method: 'PUT',
    },
  ],
  ['a conditional reference', observation({ subject: { reference: `Patient?identifier=${SSN}` } })],
  ['a reference to an unknown name', observation({ subject: { reference: `urn:record:${SSN}` } })],
  // bundles
  ['a bundle type', { path: '/', json: { resourceType: 'Bundle', type: 'Kolibri' } }],
  ['a method', bundle('transaction', { request: { method: 'Kolibri', url: 'Patient' } })],
  [
    'a conditional update',
    bundle('transaction', { resource: PATIENT, request: { method: 'PUT', url: `Patient?Kolibri=${SSN}` } }),
  ],
  [
    'a conditional delete',
    bundle('transaction', { request: { method: 'DELETE', url: 'Patient?name:contains=Kolibri' } }),
  ],
  ['a conditional reference in a transaction', bundle('transaction', OBSERVATION_OF_NOBODY)],
  ['an update by an identifier in the URL', { method: 'PUT', path: `/Patient?identifier=${Q(SSN)}`, json: PATIENT }],
  ['a delete by a name in the URL', { method: 'DELETE', path: '/Patient?family=Kolibrifamily' }],
  ['a patch', patch([{ op: 'Kolibri', path: '/Kolibri' }])],
  ['a path of a patch', patch([{ op: 'remove', path: '/name/0/Kolibri~family' }])],
  [
    'a search in a transaction',
    bundle('transaction', { request: { method: 'GET', url: 'Patient?family=Kolibrifamily' } }),
  ],
  [
    'ifNoneExist',
    bundle('transaction', {
      resource: PATIENT,
      request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=${SSN}&_sort=Kolibri` },
    }),
  ],
  [
    'ifMatch',
    bundle('transaction', {
      resource: { resourceType: 'Patient', id: 'x1' },
      request: { method: 'PUT', url: 'Patient/x1', ifMatch: 'Kolibri' },
    }),
  ],
];

/** The same in a batch, where the answer is 200 and each entry tells its own refusal. */
export const CANARY_BATCH: Call = {
  path: '/',
  json: {
    resourceType: 'Bundle',
    type: 'batch',
    entry: [
      { fullUrl: `urn:record:${SSN}`, request: { method: 'GET', url: 'Patient?family=Kolibrifamily' } },
      { request: { method: 'GET', url: `Patient?identifier=${SSN}` } },
      { request: { method: 'GET', url: 'Observation?subject:Patient.family=Kolibrifamily' } },
      { request: { method: 'DELETE', url: `Patient?Kolibri=${SSN}` } },
      { resource: PATIENT, request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=${SSN}&Kolibri=1` } },
      {
        resource: { resourceType: 'Patient', id: 'x1' },
        request: { method: 'PUT', url: 'Patient/x1', ifMatch: 'Kolibri\r\nx: y' },
      },
      { request: { method: 'Kolibri', url: 'Kolibri/Kolibri' } },
      { request: { method: 'GET', url: `https://kolibri.example/Patient?name=${randomUUID()}Kolibri` } },
    ],
  },
};
