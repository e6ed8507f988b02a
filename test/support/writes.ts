/** Resources, bundles and ways to look at answers for whole-product tests of writes. */
import type { Answer, Body } from './product.ts';

export const MRN = 'urn:example:mrn';

const ERROR_CODE = ['issue', 0, 'details', 'coding', 0, 'code'] as const;
export const codeOf = (body: Body | undefined): string =>
  ERROR_CODE.reduce<Body | undefined>((part, name) => part?.[name as string], body) as unknown as string;
export const outcome = ({ status, body }: Answer): string => `${status} ${codeOf(body) ?? ''}`.trim();
export const header = ({ headers }: Answer, name: string): string => [headers[name] ?? ''].flat().join(', ');
export const text = (value: Body | undefined): string => value as unknown as string;

export const patient = (mrn: string, more: object = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: MRN, value: mrn }],
  name: [{ family: 'Conditionson', given: ['Pat'] }],
  birthDate: '1980-05-12',
  ...more,
});

export const observation = (subject: string, more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'Weight at home' },
  subject: { reference: subject },
  valueQuantity: { value: 70.5, unit: 'kg' },
  ...more,
});

export interface Entry {
  readonly fullUrl?: string;
  readonly resource?: object;
  readonly request: { readonly method: string; readonly url: string; readonly ifNoneExist?: string };
}

export const bundle = (type: 'batch' | 'transaction', ...entry: Entry[]) => ({ resourceType: 'Bundle', type, entry });

interface EntryResponse {
  readonly status: string;
  readonly location?: string;
  readonly outcome?: Body;
}

export const responses = ({ body }: Answer): readonly EntryResponse[] =>
  ((body['entry'] ?? []) as unknown as { response: EntryResponse }[]).map(({ response }) => response);

export const entryOutcome = (response: EntryResponse | undefined): string =>
  `${response?.status ?? ''} ${codeOf(response?.outcome) ?? ''}`.trim();

/** `Type/id` of a location. */
export const pathOf = (location: string | undefined): string =>
  /([A-Z][A-Za-z]*\/[A-Za-z0-9.-]+)(?:\/_history\/.*)?$/.exec(location ?? '')?.[1] ?? '';
