/** The FHIR R4 resources of one example patient. */
import type { Person } from './people.ts';
import type { Random } from './random.ts';

export interface Entry {
  readonly fullUrl: string;
  readonly resource: { readonly resourceType: string } & Record<string, unknown>;
  readonly request: { readonly method: 'POST'; readonly url: string };
}

export interface Reference {
  readonly reference: string;
}

/** What patients refer to in the files that are loaded before theirs. */
export interface Shared {
  readonly hospital: Reference;
  readonly insurer: Reference;
  readonly practitioners: readonly Reference[];
}

export function entry(random: Random, resource: Entry['resource']): Entry {
  return { fullUrl: `urn:uuid:${random.uuid()}`, resource, request: { method: 'POST', url: resource.resourceType } };
}

export const referTo = ({ fullUrl }: Entry): Reference => ({ reference: fullUrl });

/** Decimals keep the digits they are measured with: 1.50 is not 1.5 (R4 §2.24.0.1). */
const decimal = (digits: string): unknown => JSON.rawJSON(digits);

const coding = (system: string, code: string, display: string) => ({
  coding: [{ system, code, display }],
  text: display,
});
const two = (number: number) => String(number).padStart(2, '0');

export function patientResource(person: Person, index: number, shared: Shared): Entry['resource'] {
  return {
    resourceType: 'Patient',
    extension: [
      {
        url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName',
        valueString: person.mothersMaidenName,
      },
    ],
    identifier: identifiers(index),
    active: true,
    name: [{ use: 'official', family: person.family, given: person.given }],
    telecom: telecom(person, index),
    gender: person.gender,
    birthDate: person.birthDate,
    address: [
      {
        use: 'home',
        line: [person.street],
        city: person.city,
        state: 'XX',
        postalCode: person.postalCode,
        country: 'US',
      },
    ],
    managingOrganization: shared.hospital,
  };
}

/** Areas 900–999 were never issued as SSN; groups below 50 are no ITIN either. */
function identifiers(index: number) {
  return [
    {
      use: 'usual',
      type: coding('http://terminology.hl7.org/CodeSystem/v2-0203', 'MR', 'Medical record number'),
      system: 'http://hospital.example.org/mrn',
      value: `MRN-${700_101 + index * 37}`,
    },
    {
      use: 'official',
      type: coding('http://terminology.hl7.org/CodeSystem/v2-0203', 'SS', 'Social security number'),
      system: 'http://hl7.org/fhir/sid/us-ssn',
      value: `${901 + index * 7}-${two(11 + index)}-${4021 + index * 113}`,
    },
  ];
}

/** 555-0100 to 555-0199 are kept free for fiction (NANPA); example.org by RFC 2606. */
function telecom({ given, family }: Person, index: number) {
  const mailbox = `${given[0]}.${family}`
    .normalize('NFD')
    .replaceAll(/[^A-Za-z.]/g, '')
    .toLowerCase();
  return [
    { system: 'phone', value: `+1-217-555-01${two(10 + index)}`, use: 'home' },
    { system: 'email', value: `${mailbox}@example.org` },
  ];
}

const TESTS = [
  {
    code: '2160-0',
    display: 'Creatinine [Mass/volume] in Serum or Plasma',
    unit: 'mg/dL',
    values: ['1.50', '0.90', '1.10'],
  },
  { code: '2339-0', display: 'Glucose [Mass/volume] in Blood', unit: 'mg/dL', values: ['98.0', '126.50', '101'] },
  { code: '8302-2', display: 'Body height', unit: 'cm', values: ['171.0', '164.50', '183.20'] },
  { code: '29463-7', display: 'Body weight', unit: 'kg', values: ['70.40', '81.00', '63.5'] },
  {
    code: '2823-3',
    display: 'Potassium [Moles/volume] in Serum or Plasma',
    unit: 'mmol/L',
    values: ['4.10', '3.9', '5.00'],
  },
] as const;

const CONDITIONS = [
  { code: '195967001', display: 'Asthma' },
  { code: '38341003', display: 'Hypertensive disorder' },
  { code: '44054006', display: 'Type 2 diabetes mellitus' },
  { code: '37796009', display: 'Migraine' },
] as const;

/** Everything of one patient, in an order in which each refers to what stands before it. */
export function patientEntries(random: Random, person: Person, index: number, shared: Shared): Entry[] {
  const add = (resource: Entry['resource']) => {
    const made = entry(random, resource);
    entries.push(made);
    return referTo(made);
  };
  const entries: Entry[] = [];
  const subject = add(patientResource(person, index, shared));
  const visit: Visit = { subject, person, shared, doctor: random.pick(shared.practitioners), day: dayIn(random) };
  const encounter = add(encounterResource(visit, 'AMB', 'ambulatory'));
  add(encounterResource({ ...visit, day: dayIn(random) }, 'VR', 'virtual'));
  for (const measured of TESTS) add(observationResource(visit, encounter, measured, random.pick(measured.values)));
  const condition = add(conditionResource(visit, encounter, random.pick(CONDITIONS)));
  const coverage = add(coverageResource(visit, index));
  add(claimResource(visit, { coverage, condition }, `${random.between(80, 420)}.50`));
  add(documentResource(visit));
  add(communicationResource(visit));
  return entries;
}

interface Visit {
  readonly subject: Reference;
  readonly person: Person;
  readonly shared: Shared;
  readonly doctor: Reference;
  /** `YYYY-MM-DD` */
  readonly day: string;
}

const dayIn = (random: Random) => `2025-${two(random.between(1, 12))}-${two(random.between(1, 28))}`;

const encounterResource = ({ subject, doctor, shared, day }: Visit, code: string, display: string) => ({
  resourceType: 'Encounter',
  status: 'finished',
  class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code, display },
  subject,
  participant: [{ individual: doctor }],
  period: { start: `${day}T09:00:00Z`, end: `${day}T09:30:00Z` },
  serviceProvider: shared.hospital,
});

const observationResource = (
  { subject, doctor, day }: Visit,
  encounter: Reference,
  { code, display, unit }: (typeof TESTS)[number],
  digits: string,
) => ({
  resourceType: 'Observation',
  status: 'final',
  code: coding('http://loinc.org', code, display),
  subject,
  encounter,
  effectiveDateTime: `${day}T09:10:00Z`,
  performer: [doctor],
  valueQuantity: { value: decimal(digits), unit, system: 'http://unitsofmeasure.org', code: unit },
});

const conditionResource = (
  { subject, day }: Visit,
  encounter: Reference,
  { code, display }: { code: string; display: string },
) => ({
  resourceType: 'Condition',
  clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }] },
  code: coding('http://snomed.info/sct', code, display),
  subject,
  encounter,
  recordedDate: day,
});

const coverageResource = ({ subject, shared }: Visit, index: number) => ({
  resourceType: 'Coverage',
  status: 'active',
  subscriberId: `SUB-${55_010 + index * 19}`,
  beneficiary: subject,
  payor: [shared.insurer],
});

const claimResource = (
  { subject, doctor, shared, day }: Visit,
  { coverage, condition }: { coverage: Reference; condition: Reference },
  amount: string,
) => ({
  resourceType: 'Claim',
  status: 'active',
  type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/claim-type', code: 'professional' }] },
  use: 'claim',
  patient: subject,
  created: day,
  insurer: shared.insurer,
  provider: doctor,
  priority: { coding: [{ code: 'normal' }] },
  diagnosis: [{ sequence: 1, diagnosisReference: condition }],
  insurance: [{ sequence: 1, focal: true, coverage }],
  total: { value: decimal(amount), currency: 'USD' },
});

const documentResource = ({ subject, person, doctor, day }: Visit) => ({
  resourceType: 'DocumentReference',
  status: 'current',
  type: coding('http://loinc.org', '11506-3', 'Progress note'),
  subject,
  date: `${day}T10:00:00Z`,
  author: [doctor],
  description: `Note on ${person.given[0]} ${person.family}`,
  content: [{ attachment: { contentType: 'text/plain', title: `${person.family}, ${day}`, data: noteOf(person) } }],
});

const noteOf = ({ given, family, birthDate, story }: Person) =>
  Buffer.from(`${given.join(' ')} ${family}, born ${birthDate}. ${story}`).toString('base64');

const communicationResource = ({ subject, person, doctor, day }: Visit) => ({
  resourceType: 'Communication',
  status: 'completed',
  subject,
  sent: `${day}T11:00:00Z`,
  sender: doctor,
  recipient: [subject],
  payload: [{ contentString: `Dear ${person.given[0]}, your results are in. Please call us. ${person.story}` }],
});
