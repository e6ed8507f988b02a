/** Steps 14 and 15: links are ours, bodies hold what was opened, headers forbid storing. */
import type { Json } from '@keyward/sdk/seal';
import { type AnswerEntry, asBundle } from '../answers.ts';
import { upstreamPath } from '../ask.ts';
import { sealCursor } from '../cursor.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import { type FhirResource, isSubsetted } from '../../phi/index.ts';

const versionOf = (resource: FhirResource): string => {
  const meta = resource['meta'] as { versionId?: Json } | undefined;
  return typeof meta?.versionId === 'string' ? meta.versionId : '';
};

/** `W/"3"`, or `W/"3-subsetted"` for a view with holes, so that a write built on it can be told. */
export const etag = (version: string, subsetted = false): string => `W/"${version}${subsetted ? '-subsetted' : ''}"`;

export function cacheHeaders(
  version: string,
  lastModified: string | undefined,
  subsetted = false,
): Record<string, string> {
  const date = new Date(lastModified ?? '');
  return {
    ...(version === '' ? {} : { etag: etag(version, subsetted) }),
    ...(Number.isNaN(date.getTime()) ? {} : { 'last-modified': date.toUTCString() }),
  };
}

export function replyResource(exchange: Exchange): void {
  const resource = known(known(exchange.findings[0], 'finding').opened, 'opened resource');
  const { lastUpdated } = (resource['meta'] ?? {}) as { lastUpdated?: string };
  exchange.reply = {
    status: 200,
    headers: cacheHeaders(versionOf(resource), lastUpdated, isSubsetted(resource)),
    body: resource,
  };
}

export async function replySearchset(exchange: Exchange): Promise<void> {
  const { findings, gateway, route, shape } = exchange;
  const total = searchTotal(exchange, findings.filter(({ included }) => !included).length);
  const counted = shape?.kind === 'count' ? {} : { entry: findings.map((finding) => searchEntry(exchange, finding)) };
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'searchset',
    ...(total === undefined ? {} : { total }),
    link: await links(exchange, `${gateway.publicBase}/${route.type}`),
    ...counted,
  });
}

const searchEntry = (exchange: Exchange, finding: Finding): { readonly [name: string]: Json } => ({
  ...fullEntry(exchange, finding),
  search: { mode: finding.included ? 'include' : 'match' },
});

/** A total the upstream counted would tell of records that were left out here (hapi-fhir #1507); one whole page is its own total. */
function searchTotal({ answer, search, decision }: Exchange, shown: number): number | undefined {
  const { entry = [], link = [], total } = asBundle(answer?.body);
  const onlyCounted = search?.clear.some(([name, value]) => name === '_count' && Number(value) === 0);
  const onFirstPage = search?.cursor === undefined && !link.some(({ relation }) => relation === 'next');
  if (onFirstPage && !onlyCounted) return shown;
  const matches = entry.filter(({ search: { mode } = {} }) => mode !== 'include');
  const nothingLeftOut =
    !search?.filters.some(({ narrows }) => narrows) && shown === matches.length && decision?.patient === undefined;
  return nothingLeftOut ? total : undefined;
}

/** All that belongs to a record; how much there is, only the upstream knows. */
export async function replyEverything(exchange: Exchange): Promise<void> {
  const { findings, gateway, route } = exchange;
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'searchset',
    link: await links(exchange, `${gateway.publicBase}/${route.type}/${route.id}/$everything`),
    entry: findings.map((finding) => searchEntry(exchange, finding)),
  });
}

export async function replyHistory(exchange: Exchange): Promise<void> {
  const { findings, route, gateway } = exchange;
  const upstream = asBundle(exchange.answer?.body);
  const versions = (upstream.entry ?? []).filter(({ resource }) => resource !== undefined);
  const exact = findings.length === versions.length && exchange.decision?.patient === undefined;
  const byResource = new Map(findings.map((finding) => [finding.resource as unknown, finding]));
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'history',
    ...(exact && upstream.total !== undefined ? { total: upstream.total } : {}),
    link: await links(exchange, `${gateway.publicBase}/${route.type}/${route.id}/_history`),
    entry: (upstream.entry ?? []).flatMap((entry) => versionEntry(exchange, entry, byResource)),
  });
}

/** A version that may be shown, or a deletion: an entry without a resource. */
function versionEntry(
  exchange: Exchange,
  { resource, response }: AnswerEntry,
  byResource: ReadonlyMap<unknown, Finding>,
): Json[] {
  const { gateway, route } = exchange;
  const url = `${route.type}/${route.id}`;
  const status = /^\d{3}/.exec(response?.status ?? '')?.[0] ?? '200';
  if (resource === undefined)
    return [{ fullUrl: `${gateway.publicBase}/${url}`, request: { method: 'DELETE', url }, response: { status } }];
  const finding = byResource.get(resource);
  if (!finding) return [];
  const request = status === '201' ? { method: 'POST', url: route.type } : { method: 'PUT', url };
  return [{ ...fullEntry(exchange, finding), request, response: { status } }];
}

const bundleReply = (body: Json): Exchange['reply'] => ({ status: 200, headers: {}, body });

function fullEntry({ gateway }: Exchange, { resource, opened }: Finding): { fullUrl: string; resource: Json } {
  return {
    fullUrl: `${gateway.publicBase}/${resource.resourceType}/${resource.id ?? ''}`,
    resource: known(opened, 'opened resource'),
  };
}

/** `self` without parameters, since they may identify; `next` as a sealed cursor. */
async function links(exchange: Exchange, self: string): Promise<Json[]> {
  const next = nextPage(exchange);
  const selfLink = { relation: 'self', url: self };
  if (next === undefined) return [selfLink];
  const cursor = await sealCursor(exchange, next, exchange.search);
  return [selfLink, { relation: 'next', url: `${self}?_cursor=${cursor}` }];
}

/** Path and query of the page after the upstream's answer, below its base. */
export function nextPage(exchange: Exchange): string | undefined {
  const next = (asBundle(exchange.answer?.body).link ?? []).find(({ relation }) => relation === 'next');
  return next && upstreamPath(exchange, next.url);
}
