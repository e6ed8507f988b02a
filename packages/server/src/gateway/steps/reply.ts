/** Steps 14 and 15: links are ours, bodies hold what was opened, headers forbid storing. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { sealCursor } from '../cursor.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import { type FhirResource, isSubsetted } from '../../phi/index.ts';
import { type WriteResult, writeResults } from '../results.ts';
import { matchesFilters } from '../search.ts';
import { type AnswerEntry, asBundle } from './reauthorise.ts';

const versionOf = (resource: FhirResource): string => {
  const meta = resource['meta'] as { versionId?: Json } | undefined;
  return typeof meta?.versionId === 'string' ? meta.versionId : '';
};

/** `W/"3"`, or `W/"3-subsetted"` for a view with holes, so that a write built on it can be told. */
const etag = (version: string, subsetted = false): string => `W/"${version}${subsetted ? '-subsetted' : ''}"`;

function cacheHeaders(version: string, lastModified: string | undefined, subsetted = false): Record<string, string> {
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
  const { findings, search, gateway } = exchange;
  const filters = search?.filters ?? [];
  const shown = findings.filter(({ opened }) => matchesFilters(known(opened, 'opened resource'), filters));
  const total = searchTotal(exchange, shown.length);
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'searchset',
    ...(total === undefined ? {} : { total }),
    link: await links(exchange, `${gateway.publicBase}/${exchange.route.type}`),
    entry: shown.map((finding) => ({ ...fullEntry(exchange, finding), search: { mode: 'match' } })),
  });
}

/** A total the upstream counted would tell of records that were left out here (hapi-fhir #1507); one whole page is its own total. */
function searchTotal({ answer, search, decision }: Exchange, shown: number): number | undefined {
  const { entry = [], link = [], total } = asBundle(answer?.body);
  const onlyCounted = search?.clear.some(([name, value]) => name === '_count' && Number(value) === 0);
  const onFirstPage = search?.cursor === undefined && !link.some(({ relation }) => relation === 'next');
  if (onFirstPage && !onlyCounted) return shown;
  const nothingLeftOut = search?.filters.length === 0 && shown === entry.length && decision?.patient === undefined;
  return nothingLeftOut ? total : undefined;
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
  const next = (asBundle(exchange.answer?.body).link ?? []).find(({ relation }) => relation === 'next');
  const selfLink = { relation: 'self', url: self };
  if (!next) return [selfLink];
  const cursor = await sealCursor(exchange, upstreamPath(exchange, next.url), exchange.search?.filters ?? []);
  return [selfLink, { relation: 'next', url: `${self}?_cursor=${cursor}` }];
}

/** Only where it points is taken from an upstream's link, never to which host. @throws KeywardError `GATEWAY_UPSTREAM_INVALID` */
function upstreamPath({ gateway }: Exchange, link: string): string {
  const base = new URL(`${gateway.upstream.base}/`);
  const url = URL.parse(link, base);
  const prefix = base.pathname.slice(0, -1);
  if (!url || (url.pathname !== prefix && !url.pathname.startsWith(`${prefix}/`)))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return url.pathname.slice(prefix.length) + url.search;
}

export function replyWritten(exchange: Exchange): void {
  const { operations, incoming, gateway, answer } = exchange;
  const operation = known(operations[0], 'operation');
  const result = known(writeResults(exchange)[0], 'result');
  if (operation.interaction === 'delete') {
    exchange.reply = { status: 204, headers: {}, body: undefined };
    return;
  }
  const minimal = /(?:^|,)\s*return=minimal\s*(?:,|$)/.test(String(incoming.headers['prefer'] ?? ''));
  const created = known(answer, 'answer').status === 201;
  exchange.reply = {
    status: created ? 201 : 200,
    headers: {
      ...cacheHeaders(result.version, result.lastModified),
      ...(created ? { location: `${gateway.publicBase}/${result.type}/${result.id}/_history/${result.version}` } : {}),
    },
    body: minimal ? undefined : withServerMembers(known(operation.resource, 'resource'), result),
  };
}

/** What the client sent, with the members the server decides; the upstream's copy is not needed to show it. */
function withServerMembers(resource: FhirResource, { id, version, lastModified }: WriteResult): FhirResource {
  const { resourceType, id: _id, meta, ...rest } = resource;
  const serverMeta = {
    ...(version === '' ? {} : { versionId: version }),
    ...(lastModified === undefined ? {} : { lastUpdated: lastModified }),
  };
  return { resourceType, id, meta: { ...(meta as { [name: string]: Json } | undefined), ...serverMeta }, ...rest };
}

export function replyTransaction(exchange: Exchange): void {
  const { publicBase } = exchange.gateway;
  const entry = writeResults(exchange).map(({ type, id, version, status, lastModified }) => ({
    response: {
      status,
      ...(version === '' ? {} : { location: `${publicBase}/${type}/${id}/_history/${version}`, etag: etag(version) }),
      ...(lastModified === undefined ? {} : { lastModified }),
    },
  }));
  exchange.reply = bundleReply({ resourceType: 'Bundle', type: 'transaction-response', entry });
}
