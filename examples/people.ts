/** The invented people of the examples. None of them lives: numbers come from ranges that are never given to anyone. */

export interface Person {
  readonly given: readonly string[];
  readonly family: string;
  readonly gender: 'female' | 'male' | 'other';
  readonly birthDate: string;
  readonly mothersMaidenName: string;
  readonly street: string;
  readonly city: string;
  readonly postalCode: string;
  /** What a visit was about. */
  readonly story: string;
}

export const PEOPLE: readonly Person[] = [
  {
    given: ['Quilla', 'Mae'],
    family: 'Testerby',
    gender: 'female',
    birthDate: '1984-03-17',
    mothersMaidenName: 'Sampleton',
    street: '12 Placeholder Lane',
    city: 'Exampleton',
    postalCode: '00001',
    story: 'Called from her sister Dorrit’s house; wheezing since the hay harvest.',
  },
  {
    given: ['Orvo'],
    family: 'Fixtureman',
    gender: 'male',
    birthDate: '1957-11-02',
    mothersMaidenName: 'Dummeldorf',
    street: '7 Lorem Street',
    city: 'Exampleton',
    postalCode: '00001',
    story: 'Retired ferry pilot Orvo asks that his son Brando not be told.',
  },
  {
    given: ['Zephine', 'Ada'],
    family: 'Mockridge',
    gender: 'female',
    birthDate: '1931-06-25',
    mothersMaidenName: 'Stubbington',
    street: '404 Notfound Road',
    city: 'Nowhere Falls',
    postalCode: '00002',
    story: 'Ninety and lively; lives alone above the old bakery on Notfound Road.',
  },
  {
    given: ['Brando'],
    family: 'Fixtureman',
    gender: 'male',
    birthDate: '1990-01-31',
    mothersMaidenName: 'Sampleton',
    street: '9 Lorem Street',
    city: 'Exampleton',
    postalCode: '00001',
    story: 'Knee hurt at Saturday’s match; reach him at work, not at home.',
  },
  {
    given: ['Ysolde', 'Pim'],
    family: 'Exemplar-Vale',
    gender: 'female',
    birthDate: '2001-08-09',
    mothersMaidenName: 'Protocova',
    street: '88 Ipsum Avenue',
    city: 'Dolorville',
    postalCode: '00003',
    story: 'Student Ysolde asks to be called Pim; exam stress and headaches.',
  },
  {
    given: ['Tamsin'],
    family: 'Sandbox',
    gender: 'other',
    birthDate: '1978-12-12',
    mothersMaidenName: 'Testerby',
    street: '1 Null Court',
    city: 'Dolorville',
    postalCode: '00003',
    story: 'Tamsin came with a partner; wants the result by post only.',
  },
  {
    given: ['Hannu', 'Olavi'],
    family: 'Näytelä',
    gender: 'male',
    birthDate: '1966-04-04',
    mothersMaidenName: 'Esimerkki',
    street: '3 Umlaut Way',
    city: 'Nowhere Falls',
    postalCode: '00002',
    story: 'Speaks Finnish; daughter Aino interprets on the phone.',
  },
  {
    given: ['Miriwa'],
    family: 'O’Placeholder',
    gender: 'female',
    birthDate: '2015-10-20',
    mothersMaidenName: 'Mockridge',
    street: '21 Placeholder Lane',
    city: 'Exampleton',
    postalCode: '00001',
    story: 'Brought by her grandmother Zephine; ear pain for three nights.',
  },
  {
    given: ['Cosmo', 'Lark'],
    family: 'Dummywell',
    gender: 'male',
    birthDate: '1949-02-28',
    mothersMaidenName: 'Fakenham',
    street: '55 Stub Hill',
    city: 'Nowhere Falls',
    postalCode: '00002',
    story: 'Former mayor of Nowhere Falls; the press must not learn of the visit.',
  },
  {
    given: ['Anouk'],
    family: 'Syntheta',
    gender: 'female',
    birthDate: '1995-07-14',
    mothersMaidenName: 'Generata',
    street: '64 Seed Square',
    city: 'Dolorville',
    postalCode: '00003',
    story: 'Twenty weeks; her employer Acme Syntax does not know yet.',
  },
];
