/** Bundles the store answers with: searchset and history, with their paging links. */
import { etag } from './http.ts';
import type { Call } from './interactions.ts';
import type { HistoryEntry, Page } from './repository.ts';
import type { Search } from './search-parse.ts';
import type { JsonObject, Resource, SearchPair } from './types.ts';

export function searchBundle(
  call: Call,
  search: Search,
  { matches, hasNext }: { readonly matches: readonly Resource[]; readonly hasNext: boolean },
  total: number | undefined,
): JsonObject {
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    ...(total === undefined ? {} : { total }),
    link: links(call, call.type, search, hasNext),
    entry: matches.map((resource) => ({
      fullUrl: fullUrl(call, resource['id'] as string),
      resource,
      search: { mode: 'match' },
    })),
  };
}

export function historyBundle(call: Call, page: Page, total: number, entries: readonly HistoryEntry[]): JsonObject {
  return {
    resourceType: 'Bundle',
    type: 'history',
    total,
    link: links(call, `${call.type}/${call.id}/_history`, page, page.offset + page.count < total),
    entry: entries.map((entry) => historyEntry(call, entry)),
  };
}

const STATUS = { POST: '201', PUT: '200', DELETE: '204' } as const;

function historyEntry(call: Call, { version, lastUpdated, method, resource }: HistoryEntry): JsonObject {
  const created = method === 'PUT' && version === 1;
  return {
    fullUrl: fullUrl(call, call.id),
    ...(resource ? { resource } : {}),
    request: { method, url: method === 'POST' ? call.type : `${call.type}/${call.id}` },
    response: {
      status: created ? '201' : STATUS[method],
      etag: etag(version),
      lastModified: lastUpdated.toISOString(),
    },
  };
}

const fullUrl = ({ base, type }: Call, id: string): string => `${base}/${type}/${id}`;

function links({ base, query }: Call, path: string, { count, offset }: Page, hasNext: boolean): JsonObject[] {
  const link = (relation: string, pairs: readonly SearchPair[]) => ({
    relation,
    url: [`${base}/${path}`, String(new URLSearchParams(pairs.map(([name, value]) => [name, value])))]
      .filter(Boolean)
      .join('?'),
  });
  const at = (target: number): SearchPair[] => [
    ...query.filter(([name]) => name !== '_offset'),
    ['_offset', String(target)],
  ];
  return [
    link('self', query),
    ...(hasNext ? [link('next', at(offset + count))] : []),
    ...(offset > 0 && count > 0 ? [link('previous', at(Math.max(0, offset - count)))] : []),
  ];
}
