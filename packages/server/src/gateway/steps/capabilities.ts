/** `metadata`: what this gateway supports, of what the upstream supports. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { isResourceType, searchTarget } from '../../phi/index.ts';
import { type Exchange, known } from '../exchange.ts';
import { POLICY_INTERACTIONS } from '../policy.ts';

/** FHIR TypeRestfulInteraction codes of what we support. */
const INTERACTION_CODES: Readonly<Record<(typeof POLICY_INTERACTIONS)[number], string>> = {
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
      rest: [
        {
          mode: 'server',
          security: {
            cors: false,
            description: 'Bearer tokens (RFC 6750). Search by identifying values only by POST to _search.',
          },
          resource: resources.flatMap(capabilityOf),
          interaction: [{ code: 'transaction' }, { code: 'batch' }],
        },
      ],
    },
  };
}

function capabilityOf({ type, searchParam = [] }: UpstreamResource): Json[] {
  if (typeof type !== 'string' || !isResourceType(type)) return [];
  return [
    {
      type,
      interaction: Object.values(INTERACTION_CODES).map((code) => ({ code })),
      versioning: 'versioned',
      updateCreate: true,
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalDelete: 'not-supported',
      searchParam: searchParam.flatMap(({ name, type: kind }): Json[] => {
        const target = typeof name === 'string' ? searchTarget(type, name) : undefined;
        if (!target || target.kind === 'refused' || typeof kind !== 'string') return [];
        return [
          {
            name: name as string,
            type: kind,
            ...(target.kind === 'clear' ? {} : { documentation: 'By equality, by POST to _search only.' }),
          },
        ];
      }),
    },
  ];
}
