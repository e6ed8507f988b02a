/** What an export is of: the parameters of its kick-off request (FHIR Bulk Data Access 2.0, "Query Parameters"). */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { isResourceType } from '../../phi/index.ts';
import { type Exchange, known } from '../exchange.ts';
import { readJsonBody } from '../steps/read-body.ts';

/** Whose resources: all there are, what is of some patient, what is of the members of a group. */
export type ExportLevel = 'system' | 'patient' | 'group';

export interface ExportRequest {
  readonly level: ExportLevel;
  /** Logical id; '' unless the level is `group`. */
  readonly group: string;
  /** As asked for; none: all that may be had. */
  readonly types: readonly string[];
  /** Only what changed after this instant. */
  readonly since: string | undefined;
}

type Draft = { types: string[]; since: string | undefined };

/** Those of the specification that are not here would narrow the export; they are refused, not overlooked. */
const READERS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  _outputFormat: (_draft, value) => {
    if (!NDJSON_NAMES.has(value)) throw invalid('_outputFormat');
  },
  _type: (draft, value) => void draft.types.push(...value.split(',').map(knownType)),
  _since: (draft, value) => void (draft.since = instant(value)),
};

const NDJSON_NAMES: ReadonlySet<string> = new Set(['application/fhir+ndjson', 'application/ndjson', 'ndjson']);

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` | `FHIR_TYPE_UNKNOWN` | `FHIR_RESOURCE_INVALID` */
export async function readExportRequest(exchange: Exchange): Promise<ExportRequest> {
  const { type, id } = exchange.route;
  const draft: Draft = { types: [], since: undefined };
  for (const [name, value] of await parameters(exchange)) {
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (!read) throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: refusedParameter(name) });
    read(draft, value);
  }
  const level = type === '' ? 'system' : type === 'Group' ? 'group' : 'patient';
  return { level, group: id, types: [...new Set(draft.types)], since: draft.since };
}

/** Parameters of the specification, by name; another name may hold anything. */
const SPECIFIED = [
  '_elements',
  'patient',
  'includeAssociatedData',
  '_typeFilter',
  'organizeOutputBy',
  'allowPartialManifests',
];
const refusedParameter = (name: string): string =>
  `${SPECIFIED.includes(name) ? `Parameter ${name}.` : 'A parameter.'} An export takes ${Object.keys(READERS).join(', ')}.`;

async function parameters(exchange: Exchange): Promise<Iterable<readonly [string, string]>> {
  const { incoming, query } = exchange;
  if (incoming.method === 'GET') return query;
  if (query.size > 0)
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'Send all parameters of the export in the body.' });
  await readJsonBody(exchange);
  return bodyParameters(known(exchange.body, 'body'));
}

/** FHIR R4 Parameters, with the types the operation gives its parameters. */
const bodyShape = z.strictObject({
  resourceType: z.literal('Parameters'),
  id: z.string().optional(),
  meta: z.unknown().optional(),
  parameter: z
    .array(z.looseObject({ name: z.string(), valueString: z.string().optional(), valueInstant: z.string().optional() }))
    .default([]),
});

function bodyParameters(body: Json): [string, string][] {
  const parsed = bodyShape.safeParse(body);
  if (!parsed.success) throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'Expected Parameters.' });
  return parsed.data.parameter.map(({ name, valueString, valueInstant, ...others }) => {
    // Named before its value is looked at: a refused parameter may have a value of any type.
    if (!Object.hasOwn(READERS, name)) return [name, ''];
    const value = valueString ?? valueInstant;
    if (value === undefined || Object.keys(others).length > 0) throw invalid(name);
    return [name, value];
  });
}

const invalid = (name: string) => new KeywardError('FHIR_PARAM_INVALID', { detail: `Parameter ${name}.` });

function knownType(text: string): string {
  const type = text.trim();
  if (!isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN', { detail: 'Parameter _type.' });
  return type;
}

/** FHIR R4 instant: to the second at least, with a time zone. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function instant(text: string): string {
  const date = new Date(text);
  if (!INSTANT.test(text) || Number.isNaN(date.getTime())) throw invalid('_since');
  return date.toISOString();
}
