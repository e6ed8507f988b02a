/** Which types an export holds: of its level, searchable at the upstream, permitted to the caller. */
import { asKeywardError, type ErrorCode, KeywardError } from '../../core/index.ts';
import { type Catalogue, isCompartmentType, RESOURCE_TYPES, searchTarget } from '../../phi/index.ts';
import { type Exchange, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { ask } from '../ask.ts';
import type { ExportLevel, ExportRequest } from './request.ts';

export const exportDecision = ({ gateway, principal }: Exchange, type: string): Decision =>
  gateway.policy.decide(known(principal, 'principal'), 'export', type);

/** Members of a group are asked for by the parameter `patient`; a Patient by its id. */
const OF_LEVEL: Readonly<Record<ExportLevel, (type: string, catalogue: Catalogue) => boolean>> = {
  system: () => true,
  patient: isCompartmentType,
  group: (type, catalogue) =>
    type === 'Patient' || (isCompartmentType(type) && searchTarget(type, 'patient', catalogue)?.kind === 'clear'),
};

/**
 * What is named must be had whole; without names, what may not be had is left out.
 * @throws KeywardError `ACCESS_…` | `IDENTITY_MFA_REQUIRED` | `FHIR_PARAM_INVALID` | `FHIR_INTERACTION_UNSUPPORTED`
 */
export async function exportedTypes(exchange: Exchange, { level, types }: ExportRequest): Promise<string[]> {
  const permitted = types.length === 0 ? permittedTypes(exchange, level) : namedTypes(exchange, level, types);
  const searchable = await searchableTypes(exchange);
  if (types.length === 0) return permitted.filter((type) => searchable.has(type));
  if (permitted.every((type) => searchable.has(type))) return permitted;
  throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', {
    detail: 'The FHIR server behind the gateway does not search all the types in _type.',
  });
}

function namedTypes(exchange: Exchange, level: ExportLevel, types: readonly string[]): string[] {
  for (const type of types) {
    exportDecision(exchange, type);
    if (!OF_LEVEL[level](type, exchange.gateway.catalogue))
      throw new KeywardError('FHIR_PARAM_INVALID', {
        detail: 'A type in _type is of no patient; export it by /$export.',
      });
  }
  return [...types];
}

const LEFT_OUT: ReadonlySet<ErrorCode> = new Set(['ACCESS_DENIED', 'ACCESS_SCOPE']);

function permittedTypes(exchange: Exchange, level: ExportLevel): string[] {
  let refusal = new KeywardError('ACCESS_DENIED');
  const permitted = RESOURCE_TYPES.filter((type) => OF_LEVEL[level](type, exchange.gateway.catalogue)).filter(
    (type) => {
      try {
        return exportDecision(exchange, type);
      } catch (thrown) {
        const error = asKeywardError(thrown);
        if (!LEFT_OUT.has(error.code)) throw error;
        // The role would do and the scope does not: that is what helps the caller.
        if (error.code === 'ACCESS_SCOPE') refusal = error;
        return false;
      }
    },
  );
  if (permitted.length === 0) throw refusal;
  return permitted;
}

interface Capabilities {
  readonly rest?: readonly {
    readonly resource?: readonly {
      readonly type?: unknown;
      readonly interaction?: readonly { readonly code?: unknown }[];
    }[];
  }[];
}

async function searchableTypes(exchange: Exchange): Promise<ReadonlySet<unknown>> {
  const { body } = await ask(exchange, { method: 'GET', path: '/metadata' });
  const resources = (body as Capabilities | null | undefined)?.rest?.[0]?.resource;
  if (!Array.isArray(resources)) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const searched = resources.filter(
    ({ interaction }) => Array.isArray(interaction) && interaction.some(({ code }) => code === 'search-type'),
  );
  return new Set(searched.map(({ type }) => type));
}
