/** The store's CapabilityStatement: its interactions, and exactly the search parameters it indexes. */
import { RESOURCE_TYPES, sealsByDefault } from '../phi/index.ts';
import { EVERYTHING_TYPES } from './everything.ts';
import { type IndexedParameter, indexedParameters, NATIVE_PARAMETERS } from './parameters.ts';
import { MAX_PREFIX_LETTERS } from './string-tokens.ts';
import type { JsonObject } from './types.ts';

const INTERACTIONS = ['read', 'vread', 'update', 'delete', 'history-instance', 'create', 'search-type'];

/** How texts are found, where a type is sealed and where it is not. */
const STRINGS = {
  sealed: 'Finds whole values only, not their beginnings; letter case and runs of white space do not matter.',
  clear: `Finds values by up to ${MAX_PREFIX_LETTERS} letters of their beginning; letter case, accents and runs of white space do not matter. With :exact, whole values as they are written.`,
} as const;

const OPERATION_URL = 'http://hl7.org/fhir/OperationDefinition';

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
        resource: resourceCapabilities(),
        interaction: [{ code: 'transaction' }],
      },
    ],
  };
}

/** `Type:parameter` for each reference by id, with the types it may lead to. */
const inclusionsOf = (type: string): { readonly name: string; readonly targets: readonly string[] }[] =>
  [...indexedParameters(type).values()]
    .filter(({ targets }) => targets.length > 0)
    .map(({ code, targets }) => ({ name: `${type}:${code}`, targets }));

function resourceCapabilities(): JsonObject[] {
  const inclusions = new Map(RESOURCE_TYPES.map((type) => [type, inclusionsOf(type)]));
  const reversed = new Map<string, string[]>(RESOURCE_TYPES.map((type) => [type, []]));
  for (const { name, targets } of [...inclusions.values()].flat())
    for (const target of targets) reversed.get(target)?.push(name);
  return RESOURCE_TYPES.map((type) => ({
    ...resourceCapability(type),
    searchInclude: (inclusions.get(type) ?? []).map(({ name }) => name),
    searchRevInclude: reversed.get(type) ?? [],
  }));
}

const resourceCapability = (type: string): JsonObject => ({
  type,
  interaction: INTERACTIONS.map((code) => ({ code })),
  versioning: 'versioned-update',
  readHistory: true,
  updateCreate: true,
  conditionalCreate: true,
  conditionalUpdate: false,
  conditionalDelete: 'not-supported',
  referencePolicy: ['literal', 'local'],
  searchParam: [...NATIVE_PARAMETERS, ...indexedParameters(type).values()].map((one) => searchParam(one, type)),
  ...(EVERYTHING_TYPES.includes(type) && { operation: [everything(type)] }),
});

const everything = (type: string): JsonObject => ({
  name: 'everything',
  definition: `${OPERATION_URL}/${type}-everything`,
  documentation: 'Takes _since, _type and _count.',
});

function searchParam({ code, type }: Pick<IndexedParameter, 'code' | 'type'>, resourceType: string): JsonObject {
  const documentation = type === 'string' && STRINGS[sealsByDefault(resourceType) ? 'sealed' : 'clear'];
  return { name: code, type, ...(documentation && { documentation }) };
}
