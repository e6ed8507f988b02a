/** Bundles the store answers with, as JSON text: searchset and history, with the link to their next page. */
import { etag } from './http.ts';
import type { Call } from './interactions.ts';
import type { Entry, HistoryEntry, HistoryPage, SearchPage } from './repository.ts';
import type { PageRequest } from './search-parse.ts';
import type { Address, JsonObject, SearchPair } from './types.ts';

/** @param path what was asked, below the base */
export function searchBundle(
  call: Call,
  path: string,
  { matches, included, next }: SearchPage,
  total: number | undefined,
): string {
  const head = {
    resourceType: 'Bundle',
    type: 'searchset',
    ...(total === undefined ? {} : { total }),
    link: links(call, path, next),
  };
  const entries = [
    ...matches.map((entry) => searchEntry(call, entry, 'match')),
    ...included.map((entry) => searchEntry(call, entry, 'include')),
  ];
  return objectText(head, { entry: arrayText(entries) });
}

const searchEntry = (call: Call, { text, ...address }: Entry, mode: 'match' | 'include'): string =>
  objectText({ fullUrl: fullUrl(call, address), search: { mode } }, { resource: text });

export function historyBundle(call: Call, { count }: PageRequest, { total, entries }: HistoryPage): string {
  const last = entries.at(-1)?.version ?? 1;
  const next = count > 0 && last > 1 ? String(last) : undefined;
  const link = links(call, `${call.type}/${call.id}/_history`, next);
  const entry = arrayText(entries.map((one) => historyEntry(call, one)));
  return objectText({ resourceType: 'Bundle', type: 'history', total, link }, { entry });
}

function historyEntry(call: Call, { version, lastUpdated, method, isNew, text }: HistoryEntry): string {
  const members = {
    fullUrl: fullUrl(call, call),
    request: { method, url: method === 'POST' ? call.type : `${call.type}/${call.id}` },
    response: { status: statusOf(method, isNew), etag: etag(version), lastModified: lastUpdated.toISOString() },
  };
  return objectText(members, text === undefined ? {} : { resource: text });
}

function statusOf(method: HistoryEntry['method'], isNew: boolean): string {
  if (method === 'DELETE') return '204';
  return isNew ? '201' : '200';
}

const fullUrl = ({ base }: Call, { type, id }: Address): string => `${base}/${type}/${id}`;

/** @param next where the next page begins */
function links({ base, query }: Call, path: string, next: string | undefined): JsonObject[] {
  const link = (relation: string, pairs: readonly SearchPair[]) => ({
    relation,
    url: [`${base}/${path}`, String(new URLSearchParams(pairs.map(([name, value]) => [name, value])))]
      .filter(Boolean)
      .join('?'),
  });
  const others = query.filter(([name]) => name !== '_after');
  return [link('self', query), ...(next === undefined ? [] : [link('next', [...others, ['_after', next]])])];
}

/** An object some of whose members are JSON texts already. */
function objectText(members: JsonObject, texts: Readonly<Record<string, string>>): string {
  const written = Object.entries(members).map(([name, value]) => `"${name}":${JSON.stringify(value)}`);
  const asTheyAre = Object.entries(texts).map(([name, text]) => `"${name}":${text}`);
  return `{${[...written, ...asTheyAre].join(',')}}`;
}

const arrayText = (texts: readonly string[]): string => `[${texts.join(',')}]`;
