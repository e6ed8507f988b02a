/** Hospital, insurer and staff: what all example patients refer to. */
import type { Random } from './random.ts';
import { type Entry, entry, referTo, type Shared } from './resources.ts';

export interface SharedFiles {
  readonly hospital: readonly Entry[];
  readonly practitioner: readonly Entry[];
  readonly shared: Shared;
}

const STAFF = [
  { given: 'Vexla', family: 'Placebo' },
  { given: 'Jorun', family: 'Stethos' },
  { given: 'Imke', family: 'Triagova' },
] as const;

export function sharedFiles(random: Random): SharedFiles {
  const hospital = entry(random, organization('Meadowbrook Example Hospital', 'prov', 'Healthcare Provider'));
  const insurer = entry(random, organization('Placeholder Mutual Health Plan', 'ins', 'Insurance Company'));
  const location = entry(random, {
    resourceType: 'Location',
    status: 'active',
    name: 'Meadowbrook Outpatients',
    managingOrganization: referTo(hospital),
  });
  const practitioners = STAFF.map((name, index) => entry(random, practitioner(name, index)));
  const roles = practitioners.map((person) =>
    entry(random, {
      resourceType: 'PractitionerRole',
      active: true,
      practitioner: referTo(person),
      organization: referTo(hospital),
    }),
  );
  return {
    hospital: [hospital, insurer, location],
    practitioner: [...practitioners, ...roles],
    shared: { hospital: referTo(hospital), insurer: referTo(insurer), practitioners: practitioners.map(referTo) },
  };
}

const organization = (name: string, code: string, display: string) => ({
  resourceType: 'Organization',
  active: true,
  type: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/organization-type', code, display }] }],
  name,
});

/** Real NPIs begin with 1 or 2. */
const practitioner = ({ given, family }: (typeof STAFF)[number], index: number) => ({
  resourceType: 'Practitioner',
  identifier: [{ system: 'http://hl7.org/fhir/sid/us-npi', value: `900000001${index}` }],
  active: true,
  name: [{ family, given: [given], prefix: ['Dr.'] }],
});
