/** The store's CapabilityStatement: its interactions, and exactly the search parameters it indexes. */
import { RESOURCE_TYPES } from '../phi/index.ts';
import { type IndexedParameter, indexedParameters, NATIVE_PARAMETERS } from './parameters.ts';
import type { JsonObject } from './types.ts';

const INTERACTIONS = ['read', 'vread', 'update', 'delete', 'history-instance', 'create', 'search-type'];

/** Where an index of whole values finds less than R4 has a client expect. */
const DOCUMENTATION: Readonly<Partial<Record<IndexedParameter['type'], string>>> = {
  string: 'Finds whole values only, not their beginnings; letter case and runs of white space do not matter.',
};

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
        interaction: [{ code: 'transaction' }],
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
  conditionalCreate: false,
  conditionalUpdate: false,
  conditionalDelete: 'not-supported',
  referencePolicy: ['literal', 'local'],
  searchParam: [...NATIVE_PARAMETERS, ...indexedParameters(type).values()].map(searchParam),
});

function searchParam({ code, type }: Pick<IndexedParameter, 'code' | 'type'>): JsonObject {
  const documentation = DOCUMENTATION[type];
  return { name: code, type, ...(documentation === undefined ? {} : { documentation }) };
}
