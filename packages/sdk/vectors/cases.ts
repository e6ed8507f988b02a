/** What the vectors are made of: fixed keys, contexts and values. The expected results stand in the JSON files beside it. */
import type { FieldContext } from '../src/seal/index.ts';

/** Test keys, 32 bytes in hex: published, so never to be used. */
export const SECRETS = {
  counting: Buffer.from(Array.from({ length: 32 }, (_, position) => position)).toString('hex'),
  zero: '00'.repeat(32),
  ones: 'ff'.repeat(32),
} as const;
export type SecretName = keyof typeof SECRETS;

export const CONTEXT: FieldContext = {
  tenant: 'default',
  scope: '6f2c6a52-6b2e-4c6f-9d0f-2a8f0d3f5b11',
  objectType: 'Patient',
  objectId: '0b7c3f0e-53a1-4f0e-8f7f-3f1d9c0e7a42',
  path: 'Patient.name.family',
  datatype: 'string',
  fieldClass: 'name',
};

interface TokenCase {
  readonly name: string;
  readonly secret: SecretName;
  readonly context: FieldContext;
  /** JSON text of the value. */
  readonly json: string;
}

const at = (path: string, datatype: string, fieldClass: string): FieldContext => ({
  ...CONTEXT,
  path,
  datatype,
  fieldClass,
});

export const TOKEN_CASES: readonly TokenCase[] = [
  { name: 'a family name', secret: 'counting', context: CONTEXT, json: '"Chalmers"' },
  { name: 'the empty string', secret: 'counting', context: CONTEXT, json: '""' },
  { name: 'text beyond the basic plane', secret: 'zero', context: CONTEXT, json: '"Łukasz 𝔘 村上"' },
  { name: 'a lone surrogate', secret: 'zero', context: CONTEXT, json: '"\\ud800"' },
  { name: 'a text that looks like a token', secret: 'ones', context: CONTEXT, json: `"kw1.${'A'.repeat(62)}"` },
  {
    name: 'a birth date',
    secret: 'counting',
    context: at('Patient.birthDate', 'date', 'birthDate'),
    json: '"1974-12-25"',
  },
  { name: 'a boolean', secret: 'counting', context: at('Patient.deceased', 'boolean', 'label'), json: 'true' },
  { name: 'null', secret: 'counting', context: at('Patient.deceased', 'boolean', 'label'), json: 'null' },
  { name: 'an integer', secret: 'counting', context: at('Patient.multipleBirth', 'integer', 'label'), json: '2' },
  {
    name: 'a decimal with its digits',
    secret: 'counting',
    context: at('Quantity.value', 'decimal', 'freeText'),
    json: '1.50',
  },
  {
    name: 'an integer beyond 2^53',
    secret: 'counting',
    context: at('Quantity.value', 'decimal', 'freeText'),
    json: '12345678901234567890',
  },
  {
    name: 'an object that holds decimals',
    secret: 'ones',
    context: at('Patient.contact', 'BackboneElement', 'contact'),
    json: '{"rank":1.0,"use":["a",null,-0.10]}',
  },
  {
    name: 'a text that is not padded',
    secret: 'counting',
    context: at('Patient.text.div', 'xhtml', 'narrative'),
    json: '"<div>x</div>"',
  },
  {
    name: 'a context outside ASCII',
    secret: 'counting',
    context: { ...CONTEXT, tenant: 'klinik-zürich', scope: 'tenant' },
    json: '"Chalmers"',
  },
];

/** Bodies for the same envelope without text encoding. */
export const ENVELOPE_CASES = [
  { name: 'nothing', secret: 'counting', aad: 'keyward vectors', plaintextHex: '' },
  { name: 'one byte, no AAD', secret: 'zero', aad: '', plaintextHex: '2a' },
  { name: 'two blocks and a byte', secret: 'ones', aad: 'keyward vectors', plaintextHex: 'c3'.repeat(33) },
] as const;

interface IndexCase {
  readonly indexClass: string;
  readonly system: string;
  readonly normalised: string;
  /** All of them have the same index. */
  readonly spellings: readonly string[];
}

const SSN = 'http://hl7.org/fhir/sid/us-ssn';
const MRN = 'urn:example:mrn';

/** The normalised forms are written by hand: they are what the normalisers are held to. */
export const INDEX_CASES: readonly IndexCase[] = [
  {
    indexClass: 'family',
    system: '',
    normalised: 'chalmers',
    spellings: ['Chalmers', 'CHALMERS', '  chalmers\t', 'Chal\u00admers', 'Ｃhalmers'],
  },
  {
    indexClass: 'family',
    system: '',
    normalised: 'van der berg',
    spellings: ['Van der Berg', 'van  der\u00a0BERG', 'VAN\nDER BERG'],
  },
  { indexClass: 'family', system: '', normalised: 'müller', spellings: ['Müller', 'Mu\u0308ller', 'MÜLLER'] },
  { indexClass: 'family', system: '', normalised: 'grossmann', spellings: ['Großmann', 'GROẞMANN', 'Grossmann'] },
  { indexClass: 'family', system: '', normalised: "o'brien", spellings: ["O'Brien", "o'BRIEN"] },
  { indexClass: 'given', system: '', normalised: 'νίκος', spellings: ['Νίκος', 'ΝΊΚΟΣ', 'νίκοσ'] },
  { indexClass: 'given', system: '', normalised: '村上', spellings: ['村上', ' 村上 '] },
  { indexClass: 'city', system: '', normalised: 'são paulo', spellings: ['São Paulo', 'SA\u0303O PAULO'] },
  { indexClass: 'identifier', system: MRN, normalised: 'mrn-00042', spellings: ['MRN-00042', ' mrn-00042 '] },
  { indexClass: 'identifier', system: '', normalised: 'mrn-00042', spellings: ['MRN-00042'] },
  {
    indexClass: 'identifier',
    system: SSN,
    normalised: '999112345',
    spellings: ['999-11-2345', '999112345', ' 999 11 2345'],
  },
  {
    indexClass: 'phone',
    system: '',
    normalised: '+15554207643',
    spellings: [
      '+1 555-420-7643',
      '555-420-7643',
      '(555) 420 7643',
      '1-555-420-7643',
      'tel:+1-555-420-7643',
      '555.420.7643 x12',
      '555-420-7643;ext=5',
      '0015554207643',
      '01115554207643',
    ],
  },
  {
    indexClass: 'phone',
    system: '',
    normalised: '+442079460958',
    spellings: ['+44 20 7946 0958', '+44 (0)20 7946 0958', '0044 20 79460958', '011 44 20 7946 0958'],
  },
  { indexClass: 'phone', system: '', normalised: '4207643', spellings: ['420-7643', '420 7643 ext. 9'] },
  {
    indexClass: 'email',
    system: '',
    normalised: 'p.chalmers@example.org',
    spellings: ['p.chalmers@example.org', ' P.Chalmers@Example.ORG '],
  },
  { indexClass: 'postalCode', system: '', normalised: 'SW1A1AA', spellings: ['SW1A 1AA', 'sw1a1aa', ' sw1a  1aa'] },
  { indexClass: 'postalCode', system: '', normalised: '02139-4307', spellings: ['02139-4307', '02139 - 4307'] },
  { indexClass: 'store:Patient.name', system: '', normalised: 'chalmers', spellings: ['Chalmers', 'CHALMERS '] },
  { indexClass: 'store:Observation.code', system: 'http://loinc.org', normalised: '8480-6', spellings: ['8480-6'] },
];

/** Nothing is left of these. */
export const EMPTY_INDEX_CASES = [
  { indexClass: 'family', system: '', text: '' },
  { indexClass: 'given', system: '', text: ' \u00a0\t' },
  { indexClass: 'city', system: '', text: '\u200b\u00ad' },
  { indexClass: 'identifier', system: SSN, text: 'unknown' },
  { indexClass: 'identifier', system: MRN, text: '  ' },
  { indexClass: 'phone', system: '', text: 'none' },
  { indexClass: 'phone', system: '', text: '+' },
  { indexClass: 'email', system: '', text: ' ' },
  { indexClass: 'postalCode', system: '', text: ' ' },
  { indexClass: 'store:Patient.name', system: '', text: '' },
] as const;
