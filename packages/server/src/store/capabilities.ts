/** The store's CapabilityStatement: its interactions, and exactly the search parameters it indexes. */
import { indexedParameters } from './parameters.ts';
import { RESOURCE_TYPES } from './resource-types.ts';
import type { JsonObject } from './types.ts';

const INTERACTIONS = ['read', 'vread', 'update', 'delete', 'history-instance', 'create', 'search-type'];

/** Kept as columns, on every type. */
const NATIVE_PARAMETERS = [
  { name: '_id', type: 'token' },
  { name: '_lastUpdated', type: 'date' },
];

export function capabilityStatement(now: Date): JsonObject {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: now.toISOString(),
    kind: 'instance',
    software: { name: 'Keyward store' },
    implementation: { description: 'Built-in FHIR store behind the Keyward gateway' },
    fhirVersion: '4.0.1',
    format: ['application/fhir+json'],
    rest: [
      {
        mode: 'server',
        resource: RESOURCE_TYPES.map(resourceCapability),
        interaction: [{ code: 'transaction' }, { code: 'batch' }],
      },
    ],
  };
}

const resourceCapability = (type: string): JsonObject => ({
  type,
  interaction: INTERACTIONS.map((code) => ({ code })),
  versioning: 'versioned-update',
  readHistory: true,
  updateCreate: true,
  conditionalCreate: true,
  conditionalUpdate: true,
  conditionalDelete: 'single',
  referencePolicy: ['literal', 'local'],
  searchParam: [
    ...NATIVE_PARAMETERS,
    ...[...indexedParameters(type).values()].map((one) => ({ name: one.code, type: one.type })),
  ],
});
