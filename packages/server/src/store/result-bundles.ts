/** Bundles the store answers with, as JSON text: searchset and history, with the link to their next page. */
import { etag } from './http.ts';
import type { Call } from './interactions.ts';
import type { HistoryEntry, HistoryPage, SearchPage } from './repository.ts';
import type { PageRequest, Search } from './search-parse.ts';
import type { JsonObject } from './types.ts';

export function searchBundle(
  call: Call,
  search: Search,
  { matches, hasNext }: SearchPage,
  total: number | undefined,
): string {
  const last = matches.at(-1);
  // Only ids make a place that others' writes do not move; with an order of the client's own, a page counts from the start.
  const next: Position | undefined =
    search.sort.length > 0 ? ['_offset', search.offset + matches.length] : last && ['_after', last.id];
  const head = {
    resourceType: 'Bundle',
    type: 'searchset',
    ...(total === undefined ? {} : { total }),
    link: links(call, call.type, hasNext ? next : undefined),
  };
  const entries = matches.map(({ id, text }) =>
    objectText({ fullUrl: fullUrl(call, id), search: { mode: 'match' } }, { resource: text }),
  );
  return objectText(head, { entry: arrayText(entries) });
}

export function historyBundle(call: Call, { count }: PageRequest, { total, entries }: HistoryPage): string {
  const last = entries.at(-1)?.version ?? 1;
  const next: Position | undefined = count > 0 && last > 1 ? ['_after', last] : undefined;
  const link = links(call, `${call.type}/${call.id}/_history`, next);
  const entry = arrayText(entries.map((one) => historyEntry(call, one)));
  return objectText({ resourceType: 'Bundle', type: 'history', total, link }, { entry });
}

function historyEntry(call: Call, { version, lastUpdated, method, isNew, text }: HistoryEntry): string {
  const members = {
    fullUrl: fullUrl(call, call.id),
    request: { method, url: method === 'POST' ? call.type : `${call.type}/${call.id}` },
    response: { status: statusOf(method, isNew), etag: etag(version), lastModified: lastUpdated.toISOString() },
  };
  return objectText(members, text === undefined ? {} : { resource: text });
}

function statusOf(method: HistoryEntry['method'], isNew: boolean): string {
  if (method === 'DELETE') return '204';
  return isNew ? '201' : '200';
}

const fullUrl = ({ base, type }: Call, id: string): string => `${base}/${type}/${id}`;

/** Where a page begins. */
type Position = readonly [parameter: '_offset' | '_after', value: string | number];

function links({ base, query }: Call, path: string, next: Position | undefined): JsonObject[] {
  const link = (relation: string, pairs: readonly (readonly [string, unknown])[]) => ({
    relation,
    url: [`${base}/${path}`, String(new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])))]
      .filter(Boolean)
      .join('?'),
  });
  const others = query.filter(([name]) => name !== '_offset' && name !== '_after');
  return [link('self', query), ...(next ? [link('next', [...others, next])] : [])];
}

/** An object some of whose members are JSON texts already. */
function objectText(members: JsonObject, texts: Readonly<Record<string, string>>): string {
  const written = Object.entries(members).map(([name, value]) => `"${name}":${JSON.stringify(value)}`);
  const asTheyAre = Object.entries(texts).map(([name, text]) => `"${name}":${text}`);
  return `{${[...written, ...asTheyAre].join(',')}}`;
}

const arrayText = (texts: readonly string[]): string => `[${texts.join(',')}]`;
