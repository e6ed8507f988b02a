/** What each client library does at the gateway, and what it must then have seen; the same for all of them. */

/** Handed to a client's process in the environment, as JSON. */
export interface Errand {
  /** FHIR base of the gateway. */
  readonly base: string;
  readonly token: string;
  /** Nobody else's. */
  readonly family: string;
}

export interface Facts {
  readonly fhirVersion: string;
  readonly createdVersion: string;
  readonly readFamily: string;
  readonly updatedVersion: string;
  /** Ids that a search by family in the body of a POST found: it is one, and the right one. */
  readonly found: boolean;
  /** Statuses of a transaction of a Patient and an Observation that refers to it. */
  readonly transaction: readonly string[];
  /** How many Observations were met page by page, two a page. */
  readonly paged: number;
  /** Status of a read of what is not there. */
  readonly missing: number;
}

/** Observations that each client writes before it pages; with the one of the transaction. */
export const OBSERVATIONS = 4;

export const errand = (): Errand => JSON.parse(process.env['ERRAND'] ?? '') as Errand;

export const patientOf = (family: string) => ({
  resourceType: 'Patient' as const,
  name: [{ family, given: ['Client'] }],
  birthDate: '1975-04-03',
});

export const observationOf = (reference: string, family: string) => ({
  resourceType: 'Observation' as const,
  status: 'final' as const,
  code: { coding: [{ system: 'https://clients.example', code: family }] },
  subject: { reference },
});

const URN = 'urn:uuid:5f9fa1c4-3b1c-4d70-8f38-5f6f25a9f6a1';

export const transactionOf = (family: string) => ({
  resourceType: 'Bundle' as const,
  type: 'transaction' as const,
  entry: [
    { fullUrl: URN, resource: patientOf(`${family}2`), request: { method: 'POST' as const, url: 'Patient' } },
    { resource: observationOf(URN, family), request: { method: 'POST' as const, url: 'Observation' } },
  ],
});

/** Members of resources that the libraries type loosely. */
export interface Loose {
  readonly id: string;
  readonly meta: { readonly versionId: string };
  readonly name: readonly { readonly family: string }[];
  readonly entry?: readonly { readonly resource: Loose; readonly response: { readonly status: string } }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
  readonly fhirVersion: string;
}

export const statusesOf = ({ entry = [] }: Loose): string[] => entry.map(({ response }) => response.status.slice(0, 3));

export const foundOnly = ({ entry = [] }: Loose, id: string): boolean =>
  entry.length === 1 && entry[0]?.resource.id === id;
