/** Walks the upstream's search pages of one file: one page in memory, and one on its way. */
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { compartmentPatients, type FhirResource } from '../../phi/index.ts';
import type { Exchange } from '../exchange.ts';
import { asBundle, asResource } from '../answers.ts';
import { ask, upstreamPath } from '../ask.ts';
import type { UpstreamAnswer } from '../upstream.ts';
import { groupMembers } from './group.ts';
import type { ExportFile } from './links.ts';

interface Pace {
  /** What one page holds. */
  readonly pageResources: number;
  /** The next page is fetched while this one is worked on. */
  readonly ahead: boolean;
}

/** Larger pages are not faster, and what outlives a page while it is recorded makes the process grow. */
const WHOLE: Pace = { pageResources: 50, ahead: true };
/** Of somebody who wants to know whether there is anything, and will rarely need a second page. */
export const PROBE: Pace = { pageResources: 1, ahead: false };
/** Members of a group asked for at once; a store takes 500 values in one search. */
const PATIENTS_PER_SEARCH = 100;

/** Pages of what belongs into the file; what the upstream adds beyond is left out. @throws KeywardError `GATEWAY_UPSTREAM_…` */
export async function* walk(
  exchange: Exchange,
  file: ExportFile,
  pace = WHOLE,
): AsyncGenerator<readonly FhirResource[]> {
  if (file.level !== 'group') {
    for await (const page of pages(exchange, file, pace, {})) yield page.filter((one) => isOfFile(one, file));
    return;
  }
  const members = await groupMembers(exchange, file.group);
  const belongs = memberFilter(file, new Set(members));
  const name = file.type === 'Patient' ? '_id' : 'patient';
  for (let start = 0; start < members.length; start += PATIENTS_PER_SEARCH) {
    const some = members.slice(start, start + PATIENTS_PER_SEARCH);
    const value = some.map((id) => (name === '_id' ? id : `Patient/${id}`)).join(',');
    for await (const page of pages(exchange, file, pace, { [name]: value })) yield page.filter(belongs);
  }
}

function isOfFile(resource: FhirResource, { type, level, since, transactionTime }: ExportFile): boolean {
  if (resource.resourceType !== type || typeof resource.id !== 'string') return false;
  if (level === 'patient' && type !== 'Patient' && compartmentPatients(resource).length === 0) return false;
  const changedAt = Date.parse(String((resource['meta'] as { lastUpdated?: unknown } | undefined)?.lastUpdated));
  // Without an instant nothing speaks against it; the upstream has been told which ones are wanted.
  if (Number.isNaN(changedAt)) return true;
  return changedAt <= Date.parse(transactionTime) && (since === undefined || changedAt > Date.parse(since));
}

/** A record of two members may come with either of them; it is shown once. */
function memberFilter(file: ExportFile, members: ReadonlySet<string>): (resource: FhirResource) => boolean {
  const shared = new Set<string>();
  return (resource) => {
    if (!isOfFile(resource, file)) return false;
    const id = resource.id ?? '';
    if (file.type === 'Patient') return members.has(id);
    const own = compartmentPatients(resource).filter((reference) => members.has(reference.replace(/^Patient\//, '')));
    if (own.length < 2) return own.length === 1;
    return shared.size < shared.add(id).size;
  };
}

interface Page {
  readonly resources: readonly FhirResource[];
  /** Path and query of the next one below the upstream's base. */
  readonly next: string | undefined;
}

async function* pages(
  exchange: Exchange,
  file: ExportFile,
  { pageResources, ahead }: Pace,
  whose: Readonly<Record<string, string>>,
): AsyncGenerator<readonly FhirResource[]> {
  const visited = new Set<string>();
  let page = pageOf(exchange, await firstAnswer(exchange, file, { ...whose, _count: String(pageResources) }));
  for (;;) {
    const { next } = page;
    if (next === undefined) return yield page.resources;
    // An upstream that leads back to where we were would be walked for ever.
    if (visited.size === visited.add(next).size) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
    const fetchNext = () => ask(exchange, { method: 'GET', path: next });
    const coming = ahead ? fetchNext() : undefined;
    // Its failure is told when its turn comes, unless nobody waits for it any more.
    coming?.catch(() => undefined);
    yield page.resources;
    page = pageOf(exchange, await (coming ?? fetchNext()));
  }
}

/** Not every server searches by `_lastUpdated`; what it then gives too much is left out here. */
async function firstAnswer(
  exchange: Exchange,
  { type, since, transactionTime }: ExportFile,
  asked: Readonly<Record<string, string>>,
): Promise<UpstreamAnswer> {
  const search = (bounds: readonly (readonly [string, string])[]) =>
    ask(exchange, {
      method: 'POST',
      path: `/${type}/_search`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: String(new URLSearchParams([...Object.entries(asked), ...bounds].map(([name, value]) => [name, value]))),
    });
  const until = ['_lastUpdated', `le${transactionTime}`] as const;
  try {
    return await search(since === undefined ? [until] : [until, ['_lastUpdated', `gt${since}`]]);
  } catch (error) {
    if (asKeywardError(error).code !== 'FHIR_UPSTREAM_REFUSED') throw error;
    return search([]);
  }
}

function pageOf(exchange: Exchange, { body }: UpstreamAnswer): Page {
  const { entry = [], link = [] } = asBundle(body);
  const next = link.find(({ relation }) => relation === 'next');
  return {
    resources: entry.flatMap(({ resource }) =>
      resource === undefined ? [] : [asResource(resource as Parameters<typeof asResource>[0])],
    ),
    next: next && upstreamPath(exchange, next.url),
  };
}
