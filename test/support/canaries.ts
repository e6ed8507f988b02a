/** Canary values: a made-up patient whose every text, number and date of life can be recognised wherever it turns up. */
import { randomUUID } from 'node:crypto';
import type { Call } from './product.ts';

const SSN = '900-55-1234';
const MRN = 'CANARY-MRN-0001';
const PHONE = '+1 555 867 5309';
const EMAIL = 'canary@kolibri.example';
const BORN = '1961-11-23';
const PHOTO = Buffer.from('a photo of the canary').toString('base64');

/** What must be found in no file and at no upstream. Years and codes may; lower case catches what was normalised. */
export const CANARIES: ReadonlySet<string> = new Set([
  'Canary',
  'canary',
  'CANARY',
  SSN,
  SSN.replaceAll('-', ''),
  '867 5309',
  '8675309',
  'kolibri',
  'Kolibri',
  '99901',
  '11-23',
  PHOTO,
  Buffer.from('Canary').toString('base64').slice(0, -1),
  Buffer.from('Canary').toString('hex'),
]);

/** Canaries in every position of a Patient that holds text or tells of a life. */
export const PATIENT = {
  resourceType: 'Patient',
  text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Canary narrative</div>' },
  extension: [
    { url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueString: 'Canarymother' },
    { url: 'http://hl7.org/fhir/StructureDefinition/patient-birthPlace', valueAddress: { city: 'Canaryville' } },
    { url: 'https://hospital.example/wedding', valueDate: BORN },
    { url: 'https://hospital.example/nested', extension: [{ url: 'note', valueString: 'Canary in an extension' }] },
  ],
  identifier: [
    { system: 'http://hl7.org/fhir/sid/us-ssn', value: SSN, type: { text: 'Canary type' } },
    { system: 'https://hospital.example/mrn', value: MRN, assigner: { display: 'Canary hospital' } },
  ],
  name: [
    { text: 'Canary Full Name', family: 'Canaryfamily', given: ['Canarygiven', 'Canarysecond'], prefix: ['Canarydoc'] },
  ],
  telecom: [
    { system: 'phone', value: PHONE },
    { system: 'email', value: EMAIL },
    { system: 'pager', value: 'Canary pager' },
  ],
  birthDate: BORN,
  _birthDate: {
    extension: [
      { url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime', valueDateTime: `${BORN}T04:05:06Z` },
    ],
  },
  deceasedDateTime: '2021-11-23',
  address: [
    {
      text: 'Canary address',
      line: ['1 Canary Street'],
      city: 'Canarytown',
      district: 'Canary district',
      postalCode: '99901',
    },
  ],
  photo: [{ contentType: 'image/png', data: PHOTO, title: 'Canary photo', url: 'https://kolibri.example/photo' }],
  contact: [{ name: { family: 'Canarycontact' }, telecom: [{ system: 'phone', value: PHONE }] }],
  contained: [{ resourceType: 'Practitioner', id: 'p1', name: [{ family: 'Canarycontained' }] }],
};

const resultOf = (patient: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }], text: 'Canary label' },
  subject: { reference: patient, display: 'Canary display', identifier: { value: MRN } },
  valueString: 'Canary value',
  note: [{ authorString: 'Canary author', text: 'Canary note' }],
});

const formOf = (patient: string) => ({
  resourceType: 'QuestionnaireResponse',
  status: 'completed',
  subject: { reference: patient },
  item: [{ linkId: '1', text: 'Canary question', answer: [{ valueDate: BORN }, { valueString: 'Canary answer' }] }],
});

const documentOf = (patient: string) => ({
  resourceType: 'DocumentReference',
  status: 'current',
  description: 'Canary description',
  subject: { reference: patient },
  content: [
    { attachment: { contentType: 'text/plain', data: PHOTO, title: 'Canary title', url: 'https://kolibri.example/d' } },
  ],
});

/** All of them in one transaction whose entry names are record numbers, as some clients like them. */
export function canaryTransaction() {
  const patient = `urn:canary:${SSN}`;
  const resources = [PATIENT, resultOf(patient), formOf(patient), documentOf(patient)];
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: resources.map((resource, index) => ({
      fullUrl: index === 0 ? patient : `urn:canary:${MRN}:${index}`,
      resource,
      request: { method: 'POST', url: resource.resourceType },
    })),
  };
}

/** Searches by canaries as they must be asked: in the body of a POST. */
export const CANARY_SEARCHES: readonly Record<string, string>[] = [
  { identifier: SSN },
  { identifier: `http://hl7.org/fhir/sid/us-ssn|${SSN}` },
  { family: 'Canaryfamily' },
  { 'family:exact': 'Canaryfamily' },
  { given: 'Canarygiven', name: 'Canaryfamily' },
  { phone: PHONE },
  { email: EMAIL },
  { telecom: PHONE },
  { birthdate: BORN },
  { 'address-postalcode': '99901', 'address-city': 'Canarytown' },
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
  json: { resourceType: 'Observation', status: 'final', code: {}, ...members },
});
const form = (fields: Record<string, string>): Call => ({ method: 'POST', path: '/Patient/_search', form: fields });

/** Requests that carry a canary where none may be: each must be refused, tell nobody and leave nothing. */
export const CANARY_MISUSES: readonly (readonly [what: string, call: Call])[] = [
  // URLs
  ['identifier in the URL', get(`/Patient?identifier=${Q(SSN)}`)],
  ['name in the URL', get('/Patient?family=Canaryfamily')],
  ['birth date in the URL', get(`/Patient?birthdate=${BORN}`)],
  ['birth date with a prefix', get(`/Patient?birthdate=ge${BORN}`)],
  ['phone in the URL', get(`/Patient?phone=${Q(PHONE)}`)],
  ['address in the URL', get('/Patient?address=Canarytown')],
  ['an exact name', get('/Patient?family:exact=Canaryfamily')],
  ['a part of a name', get('/Patient?name:contains=Canary')],
  ['an identifier of a type', get(`/Patient?identifier:of-type=MR|MR|${MRN}`)],
  ['an encoded parameter name', get('/Patient?%66amily=Canaryfamily')],
  ['a sealed value of another type', get('/Observation?value-string=Canary')],
  ['a chain', get('/Observation?patient.family=Canaryfamily')],
  ['a chain through a type', get('/Observation?subject:Patient.family=Canaryfamily')],
  ['a chain to a birth date', get(`/Observation?patient:Patient.birthdate=${BORN}`)],
  ['a long chain', get('/DiagnosticReport?result.subject:Patient.family=Canaryfamily')],
  ['a reference by identifier', get(`/Observation?subject:identifier=${MRN}`)],
  ['a reverse chain', get('/Patient?_has:Observation:patient:value-string=Canary')],
  ['a filter', get('/Patient?_filter=family%20eq%20Canaryfamily')],
  ['full text', get('/Patient?_content=Canary')],
  ['narrative text', get('/Patient?_text=Canary')],
  ['a parameter nobody knows', get('/Patient?Canary=Canary')],
  ['a sort key', get('/Patient?_sort=Canary')],
  ['a format', get('/Patient?_format=Canary')],
  ['a cursor', get('/Patient?_cursor=Canary')],
  ['a read with parameters', get('/Patient/1?name=Canary')],
  ['parameters of a _search in the URL', { ...form({ _count: '1' }), path: '/Patient/_search?family=Canaryfamily' }],
  ['a type', get('/Canary/1')],
  ['an operation', get('/Patient/$match?Canary=1')],
  ['a path that is not normal', get('/Patient/Canary;1')],
  // forms
  ['a prefix search on a name', form({ 'name:contains': 'Canary' })],
  ['a range of birth dates', form({ birthdate: `lt${BORN}` })],
  ['a form field nobody knows', form({ Canary: 'Canary' })],
  ['a chain in the form', { ...form({ 'subject:Patient.family': 'Canaryfamily' }), path: '/Observation/_search' }],
  // headers
  ['If-None-Exist', post({ resourceType: 'Patient' }, { 'if-none-exist': `identifier=${SSN}` })],
  ['a method in a header', post({ resourceType: 'Patient' }, { 'x-http-method-override': 'Canary' })],
  ['a content type', post({ resourceType: 'Patient' }, { 'content-type': 'text/Canary' })],
  ['a token', { ...get('/Patient'), headers: { authorization: 'Bearer Canary' } }],
  [
    'If-Match',
    { ...post({ resourceType: 'Patient', id: 'x1' }, { 'if-match': 'Canary' }), path: '/Patient/x1', method: 'PUT' },
  ],
  // bodies
  ['no JSON', { path: '/Patient', raw: '{"Canary' }],
  ['a member nobody knows', post({ resourceType: 'Patient', Canary: 'Canary' })],
  ['a resource type', post({ resourceType: 'Canary' })],
  ['a date that is none', post({ resourceType: 'Patient', birthDate: 'Canary' })],
  ['a number that is none', observation({ valueQuantity: { value: 'Canary' } })],
  [
    'an identifier as id',
    {
      ...post({ resourceType: 'Patient', id: SSN, identifier: [{ value: SSN }] }),
      path: `/Patient/${SSN}`,
      method: 'PUT',
    },
  ],
  ['a conditional reference', observation({ subject: { reference: `Patient?identifier=${SSN}` } })],
  ['a reference to an unknown name', observation({ subject: { reference: `urn:canary:${SSN}` } })],
  // bundles
  ['a bundle type', { path: '/', json: { resourceType: 'Bundle', type: 'Canary' } }],
  ['a method', bundle('transaction', { request: { method: 'Canary', url: 'Patient' } })],
  [
    'a conditional update',
    bundle('transaction', { resource: PATIENT, request: { method: 'PUT', url: `Patient?identifier=${SSN}` } }),
  ],
  ['a conditional delete', bundle('transaction', { request: { method: 'DELETE', url: `Patient?identifier=${SSN}` } })],
  [
    'a search in a transaction',
    bundle('transaction', { request: { method: 'GET', url: 'Patient?family=Canaryfamily' } }),
  ],
  [
    'ifNoneExist',
    bundle('transaction', {
      resource: PATIENT,
      request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=${SSN}` },
    }),
  ],
  [
    'ifMatch',
    bundle('transaction', {
      resource: { resourceType: 'Patient', id: 'x1' },
      request: { method: 'PUT', url: 'Patient/x1', ifMatch: 'Canary' },
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
      { fullUrl: `urn:canary:${SSN}`, request: { method: 'GET', url: 'Patient?family=Canaryfamily' } },
      { request: { method: 'GET', url: `Patient?identifier=${SSN}` } },
      { request: { method: 'GET', url: 'Observation?subject:Patient.family=Canaryfamily' } },
      { request: { method: 'DELETE', url: `Patient?identifier=${SSN}` } },
      { resource: PATIENT, request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=${SSN}` } },
      {
        resource: { resourceType: 'Patient', id: 'x1' },
        request: { method: 'PUT', url: 'Patient/x1', ifMatch: 'Canary\r\nx: y' },
      },
      { request: { method: 'Canary', url: 'Canary/Canary' } },
      { request: { method: 'GET', url: `https://kolibri.example/Patient?name=${randomUUID()}Canary` } },
    ],
  },
};
