/** Steps 14 and 15: links are ours, bodies hold what was opened, headers forbid storing. */
import type { Json } from '@keyward/sdk/seal';
import { sealCursor } from '../cursor.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import { type FhirResource, isSubsetted } from '../../phi/index.ts';
import { type WriteResult, writeResults } from '../results.ts';
import { matchesFilters } from '../search.ts';
import { asBundle } from './reauthorise.ts';

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
  const upstream = asBundle(exchange.answer?.body);
  // A total the upstream counted would tell of records that were filtered out here (hapi-fhir #1507).
  const exact =
    filters.length === 0 && shown.length === (upstream.entry ?? []).length && exchange.decision?.patient === undefined;
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'searchset',
    ...(exact && upstream.total !== undefined ? { total: upstream.total } : {}),
    link: await links(exchange, `${gateway.publicBase}/${exchange.route.type}`),
    entry: shown.map((finding) => ({ ...fullEntry(exchange, finding), search: { mode: 'match' } })),
  });
}

export async function replyHistory(exchange: Exchange): Promise<void> {
  const { findings, route, gateway } = exchange;
  const upstream = asBundle(exchange.answer?.body);
  const byResource = new Map(findings.map((finding) => [finding.resource as Json, finding]));
  const entry = (upstream.entry ?? []).flatMap(({ resource, response }): Json[] => {
    const finding = resource === undefined ? undefined : byResource.get(resource);
    if (resource !== undefined && !finding) return [];
    const status = typeof response?.['status'] === 'string' ? response['status'].slice(0, 3) : '200';
    const url = `${route.type}/${route.id}`;
    // A version without a resource is a deletion.
    const request = finding
      ? {
          method: versionOf(finding.resource) === '1' ? 'POST' : 'PUT',
          url: versionOf(finding.resource) === '1' ? route.type : url,
        }
      : { method: 'DELETE', url };
    return [
      {
        ...(finding ? fullEntry(exchange, finding) : { fullUrl: `${gateway.publicBase}/${url}` }),
        request,
        response: { status },
      },
    ];
  });
  exchange.reply = bundleReply({
    resourceType: 'Bundle',
    type: 'history',
    ...(upstream.total === undefined ? {} : { total: upstream.total }),
    link: await links(exchange, `${gateway.publicBase}/${route.type}/${route.id}/_history`),
    entry,
  });
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

/** Only where it points is taken from an upstream's link, never to which host. */
function upstreamPath({ gateway }: Exchange, link: string): string {
  const base = new URL(`${gateway.upstream.base}/`);
  const url = new URL(link, base);
  const prefix = base.pathname.replace(/\/$/, '');
  return (url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : url.pathname) + url.search;
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
