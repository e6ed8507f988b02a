/** `$everything`: one record and all that belongs to it, each resource permitted by itself. */
import { KeywardError } from '../../core/index.ts';
import { compartmentPatients, type FhirResource, isResourceType } from '../../phi/index.ts';
import { bundleResources } from '../answers.ts';
import { ask } from '../ask.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import { pageSize } from '../search.ts';
import { invalidParameter, unsupportedParameter } from '../search/values.ts';
import { followCursor } from './plan-search.ts';
import { permitted, reauthoriseOne, shownTypes } from './reauthorise.ts';
import { nextPage } from './reply.ts';

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** https://hl7.org/fhir/R4/patient-operation-everything.html; none of them can identify anybody. */
const PARAMETERS: Readonly<Record<string, (value: string) => boolean>> = {
  _count: (value) => /^\d{1,9}$/.test(value),
  _since: (value) => INSTANT.test(value) && !Number.isNaN(Date.parse(value)),
  _type: (value) => value.split(',').every(isResourceType),
};
/** Of the specification too, but which date of a resource they look at differs from server to server; the built-in store has none of it. */
const REFUSED: ReadonlySet<string> = new Set(['start', 'end']);
const FORMATS = ['_format', '_pretty'];

export async function planEverything(exchange: Exchange): Promise<void> {
  const { route, query, body } = exchange;
  await requireFocus(exchange);
  const cursor = query.get('_cursor');
  if (cursor !== null) return followCursor(exchange, cursor);
  const asked = new URLSearchParams();
  for (const [name, value] of [...query, ...inBody(body)]) {
    if (FORMATS.includes(name)) continue;
    const isValid = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (!isValid) throw unsupportedParameter(refusedParameter(name));
    if (asked.has(name) || !isValid(value)) throw invalidParameter(`Parameter ${name} of $everything.`);
    asked.append(name, name === '_count' ? pageSize(value) : value);
  }
  keepToShown(exchange, asked);
  const text = asked.toString();
  exchange.outgoing = { method: 'GET', path: `/${route.type}/${route.id}/$everything${text && `?${text}`}` };
}

/** Whose record another one is, only the record itself tells; of a Patient its id does. @throws KeywardError `ACCESS_DENIED` | `FHIR_NOT_FOUND` */
async function requireFocus(exchange: Exchange): Promise<void> {
  const { decision, route } = exchange;
  if (known(decision, 'decision').patient === undefined || route.type === 'Patient') return;
  exchange.answer = await ask(exchange, { method: 'GET', path: `/${route.type}/${route.id}` });
  reauthoriseOne(exchange);
}

/** Pages of those who are not shown all: of a size that they do not choose, so that pages count nothing. */
const PAGE_RESOURCES = 100;

/** What would not be shown is not asked for. @throws KeywardError `ACCESS_DENIED` when nothing is left of the types that were named */
function keepToShown(exchange: Exchange, asked: URLSearchParams): void {
  const shown = shownTypes(exchange);
  if (shown === undefined) return;
  const named = asked.get('_type')?.split(',');
  const types = named ? named.filter((type) => shown.includes(type)) : shown;
  if (types.length === 0) throw new KeywardError('ACCESS_DENIED');
  asked.set('_type', types.join(','));
  asked.set('_count', String(PAGE_RESOURCES));
}

/** Another name than those of the specification may hold anything. */
const refusedParameter = (name: string): string =>
  `${REFUSED.has(name) ? `Parameter ${name}.` : 'A parameter.'} $everything takes ${Object.keys(PARAMETERS).join(', ')}.`;

/** Parameters of a POST: a resource of that name, with one value each. */
function inBody(body: Exchange['body']): [string, string][] {
  if (body === undefined || body === null) return [];
  const { resourceType, parameter = [] } = body as { resourceType?: unknown; parameter?: unknown };
  if (resourceType !== 'Parameters' || !Array.isArray(parameter))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'An operation takes a Parameters resource.' });
  const pairs = (parameter as ({ [name: string]: unknown } | null)[]).map((entry): [string, string] => {
    const { name, ...values } = entry ?? {};
    const [value] = Object.values(values);
    const text = JSON.isRawJSON(value) || typeof value === 'number' ? JSON.stringify(value) : value;
    if (typeof name !== 'string' || typeof text !== 'string')
      throw invalidParameter('A parameter in the body has a name and one text or number.');
    return [name, text];
  });
  // `_type` may be repeated where it cannot be a list.
  const types = pairs.filter(([name]) => name === '_type').map(([, value]) => value);
  const others = pairs.filter(([name]) => name !== '_type');
  return types.length === 0 ? others : [...others, ['_type', types.join(',')]];
}

/** Pages without anything to show that are passed over at once: whoever were given them could count what is not shown. */
const MAX_EMPTY_PAGES = 20;

export async function reauthoriseEverything(exchange: Exchange): Promise<void> {
  exchange.findings = ofThePage(exchange);
  for (let passed = 0; exchange.findings.length === 0 && passed < MAX_EMPTY_PAGES; passed++) {
    const next = nextPage(exchange);
    if (next === undefined) return;
    exchange.answer = await ask(exchange, { method: 'GET', path: next });
    exchange.findings = ofThePage(exchange);
  }
}

/** An upstream that mixes records up is not believed: what belongs to other patients only is left out. */
function ofThePage(exchange: Exchange): Finding[] {
  const { answer, route } = exchange;
  const resources = bundleResources(known(answer, 'answer').body);
  const isFocus = ({ resourceType, id }: FhirResource) => resourceType === route.type && id === route.id;
  const own = route.type === 'Patient' ? resources.filter((resource) => belongsTo(resource, route.id)) : resources;
  return permitted(exchange, own).map(({ included, ...finding }) => ({
    ...finding,
    ...(isFocus(finding.resource) || !included ? {} : { included }),
  }));
}

function belongsTo(resource: FhirResource, patientId: string): boolean {
  if (resource.resourceType === 'Patient') return resource.id === patientId;
  const patients = compartmentPatients(resource);
  return patients.length === 0 || patients.some((reference) => reference.endsWith(`Patient/${patientId}`));
}
