/** `metadata`: what this gateway supports, of what the upstream supports. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { type Catalogue, isResourceType, searchParameter, type SearchTarget, searchTarget } from '../../phi/index.ts';
import { type Exchange, known } from '../exchange.ts';
import type { PolicyInteraction } from '../policy.ts';
import { EVERYTHING_TYPES } from '../routes.ts';
import { prefixClassesOf } from '../search/prefixes.ts';

/** FHIR TypeRestfulInteraction codes of what we support. */
const INTERACTION_CODES: Readonly<Record<Exclude<PolicyInteraction, 'export' | 'backfill' | 'scope'>, string>> = {
  read: 'read',
  vread: 'vread',
  history: 'history-instance',
  search: 'search-type',
  create: 'create',
  update: 'update',
  delete: 'delete',
};

interface UpstreamResource {
  readonly type?: Json;
  readonly searchParam?: readonly { readonly name?: Json; readonly type?: Json }[];
  readonly searchInclude?: readonly Json[];
  readonly searchRevInclude?: readonly Json[];
  readonly operation?: readonly { readonly name?: Json }[];
}

export function planCapabilities(exchange: Exchange): void {
  exchange.outgoing = { method: 'GET', path: '/metadata' };
}

export async function replyCapabilities(exchange: Exchange): Promise<void> {
  const { gateway } = exchange;
  const upstream = known(exchange.answer, 'answer').body as {
    resourceType?: Json;
    rest?: readonly { resource?: readonly UpstreamResource[] }[];
  };
  if (upstream?.resourceType !== 'CapabilityStatement') throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const resources = upstream.rest?.[0]?.resource ?? [];
  exchange.reply = {
    status: 200,
    headers: {},
    body: {
      resourceType: 'CapabilityStatement',
      status: 'active',
      date: gateway.clock.now().toISOString(),
      kind: 'instance',
      software: { name: 'Keyward' },
      implementation: { description: 'FHIR R4 through the Keyward encryption gateway', url: gateway.publicBase },
      fhirVersion: '4.0.1',
      format: ['json'],
      patchFormat: ['application/json-patch+json'],
      rest: [
        {
          mode: 'server',
          security: {
            cors: false,
            description: 'Bearer tokens (RFC 6750). Search by identifying values only by POST to _search.',
          },
          resource: resources.flatMap((resource) => capabilityOf(resource, gateway.catalogue)),
          interaction: [{ code: 'transaction' }, { code: 'batch' }],
          operation: [operation('export', 'export')],
        },
      ],
    },
  };
}

/** FHIR Bulk Data Access 2.0: the operations beside that of the whole system, and the names of their definitions. */
const EXPORT_BY_TYPE: Readonly<Record<string, string>> = { Patient: 'patient-export', Group: 'group-export' };

const operation = (name: string, definition: string): Json => ({
  name,
  definition: `http://hl7.org/fhir/uv/bulkdata/OperationDefinition/${definition}`,
});

const EVERYTHING = 'http://hl7.org/fhir/OperationDefinition/';

function capabilityOf(resource: UpstreamResource, catalogue: Catalogue): Json[] {
  const { type, searchParam = [], searchInclude = [], searchRevInclude = [], operation: operations = [] } = resource;
  if (typeof type !== 'string' || !isResourceType(type)) return [];
  const everything = EVERYTHING_TYPES.includes(type) && operations.some(({ name }) => name === 'everything');
  const offered = [
    ...(EXPORT_BY_TYPE[type] ? [operation('export', EXPORT_BY_TYPE[type])] : []),
    ...(everything ? [{ name: 'everything', definition: `${EVERYTHING}${type}-everything` }] : []),
  ];
  return [
    {
      type,
      interaction: [...Object.values(INTERACTION_CODES), 'patch'].map((code) => ({ code })),
      versioning: 'versioned',
      updateCreate: true,
      conditionalCreate: true,
      conditionalUpdate: true,
      conditionalDelete: 'single',
      ...(offered.length > 0 ? { operation: offered } : {}),
      searchInclude: searchInclude.filter(isReference),
      searchRevInclude: searchRevInclude.filter(isReference),
      searchParam: searchParam.flatMap(({ name, type: kind }): Json[] => {
        const target = typeof name === 'string' ? searchTarget(type, name, catalogue) : undefined;
        if (!target || target.kind === 'refused' || typeof kind !== 'string') return [];
        const isPrefix = prefixClassesOf({ type, linked: false, modifier: undefined }, target, catalogue) !== undefined;
        const documentation = isPrefix ? BY_PREFIX : DOCUMENTATION[target.kind];
        return [{ name: name as string, type: kind, ...(documentation ? { documentation } : {}) }];
      }),
    },
  ];
}

const isReference = (include: Json): boolean => {
  const [type = '', code = '', ...more] = typeof include === 'string' ? include.split(':') : [];
  return more.length === 0 && searchParameter(type, code)?.type === 'reference';
};

const BY_PREFIX =
  'By the first letters, 3 at least (letter case and white space do not matter); with :exact by equality, as written. By POST to _search only.';

const DOCUMENTATION: Readonly<Record<Exclude<SearchTarget['kind'], 'refused'>, string | undefined>> = {
  clear: undefined,
  'blind-string':
    'By equality (letter case and white space do not matter; with :exact they do), by POST to _search only.',
  'blind-token': 'By equality, by POST to _search only.',
  'year-bucket': 'By date or year, with eq, ge, gt, le or lt, by POST to _search only.',
};
