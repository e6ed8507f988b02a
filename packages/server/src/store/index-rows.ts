/** The rows by which one resource can be found. Texts appear in them as blind tokens only. */
import { blindIndex, type DataKey, isToken, type Json } from '@keyward/sdk/seal';
import { BEGINNING, dateInterval, FOREVER } from './dates.ts';
import type { Found } from './expression.ts';
import { INDEX_TABLE_NAMES, type IndexTable } from './migrations.ts';
import type { IndexedParameter } from './parameters.ts';
import { sealsByDefault } from '../phi/index.ts';
import { stringTokens } from './string-tokens.ts';
import { isObject, type JsonObject, type Resource } from './types.ts';

/** Values in the order of the table's columns: the parameter's code first. */
type IndexRow = readonly (string | number)[];
export type IndexRows = Readonly<Record<IndexTable, readonly IndexRow[]>>;

/** Stands for "whatever the system" in a token; no URI. */
export const ANY_SYSTEM = '*';

/** Tokens of one parameter: `store:<param>` for values, and a class apart for "has a value in this system". */
export const valueToken = (key: DataKey, param: string, system: string, text: string): string | undefined =>
  blindIndex(key, `store:${param}`, system, text);
export const systemToken = (key: DataKey, param: string, system: string): string | undefined =>
  blindIndex(key, `store:${param}:system`, '', system);

/** A reference within this store, with an optional version. */
export const LOCAL_REFERENCE = /^([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9.-]{1,64})(?:\/_history\/\d+)?$/;

/** A reference to somewhere else; like the URL of a definition it is one text. */
const ABSOLUTE_REFERENCE = /^https?:\/\//;

/** Two such texts fit into one entry of a PostgreSQL index (2704 bytes). */
const INDEXED_TEXT_BYTES = 1000;

/** Whatever else stands in a resource is kept but cannot be searched for. PostgreSQL has no NUL in a text. */
export const isIndexable = (text: string): boolean =>
  Buffer.byteLength(text) <= INDEXED_TEXT_BYTES && !text.includes('\0');

/** Stands for every sealed value: no search can equal one, but `:missing` must know of it. No blind token is like it. */
const SEALED = 'sealed';

type Put = (table: IndexTable, ...row: (string | number)[]) => void;

interface Sink {
  readonly put: Put;
  readonly blind: (system: string, value: string) => void;
  readonly blindString: (value: string) => void;
  readonly blindSystem: (system: string) => void;
}

/** What each type of search parameter takes from an element. */
const ROWS_OF: Readonly<Record<IndexedParameter['type'], (found: Found, sink: Sink) => void>> = {
  token: ({ value }, sink) => tokenRows(value, sink),
  string: ({ value }, { blindString }) => texts(value).forEach(blindString),
  reference: ({ value }, sink) => referenceRows(value, sink),
  date: ({ value }, { put }) => dateRows(value, put),
  uri: ({ value }, sink) => putText(sink, '', value),
  number: ({ value }, { put }) => (typeof value === 'number' ? put('index_quantity', value, '', '') : undefined),
  quantity: ({ value }, { put }) => quantityRows(value, put),
};

/** `resource` is a plain copy: its numbers are numbers. */
export function indexRows(resource: Resource, parameters: Iterable<IndexedParameter>, indexKey: DataKey): IndexRows {
  const rows = Object.fromEntries(INDEX_TABLE_NAMES.map((name) => [name, []])) as unknown as Record<
    IndexTable,
    IndexRow[]
  >;
  const seen = new Set<string>();
  const isClear = !sealsByDefault(resource.resourceType);
  for (const { code, type, extract } of parameters) {
    const put: Put = (table, ...row) => {
      const identity = [table, code, ...row].join('\0');
      if (!seen.has(identity)) rows[table].push([code, ...row]);
      seen.add(identity);
    };
    const putToken = (token: string | undefined) => (token === undefined ? undefined : put('index_blind', token));
    const putTokens = (text: string, tokens: () => (string | undefined)[]) => {
      if (isToken(text)) putToken(SEALED);
      else if (isIndexable(text)) tokens().forEach(putToken);
    };
    const sink: Sink = {
      put,
      blind: (system, text) => putTokens(text, () => [valueToken(indexKey, code, system, text)]),
      blindString: (text) => putTokens(text, () => stringTokens(indexKey, code, text, isClear)),
      blindSystem: (system) => putToken(systemToken(indexKey, code, system)),
    };
    for (const found of extract(resource)) ROWS_OF[type](found, sink);
  }
  return rows;
}

/** CodeableConcept, Coding, code and boolean as codes; Identifier and ContactPoint (they have a `value`) as blind tokens. */
function tokenRows(value: Json, sink: Sink): void {
  if (typeof value === 'boolean') return sink.put('index_code', '', String(value));
  if (!isObject(value)) return putText(sink, '', value);
  if (Array.isArray(value['coding'])) for (const coding of value['coding']) putCoding(sink, coding);
  else if (typeof value['value'] === 'string') putIdentifier(sink, textOf(value['system']), value['value']);
  else putCoding(sink, value);
}

function putCoding(sink: Sink, coding: Json): void {
  if (isObject(coding)) putText(sink, textOf(coding['system']), coding['code'] ?? null);
}

/** Found by `system|value`, `value`, `|value` (where there is no system) and `system|`. */
function putIdentifier({ blind, blindSystem }: Sink, system: string, value: string): void {
  if (!isIndexable(system)) return;
  blind(ANY_SYSTEM, value);
  blind(system, value);
  blindSystem(system);
}

function putText({ put, blind }: Sink, system: string, text: Json): void {
  if (typeof text !== 'string') return;
  if (isToken(text)) blind(system, text);
  else if (isIndexable(text) && isIndexable(system)) put('index_code', system, text);
}

function referenceRows(value: Json, sink: Sink): void {
  // A canonical: the URL of a definition, which says nothing of a patient.
  if (typeof value === 'string') return putText(sink, '', value);
  const text = isObject(value) ? value['reference'] : undefined;
  if (typeof text !== 'string') return;
  const local = LOCAL_REFERENCE.exec(text);
  if (local?.[1] && local[2]) sink.put('index_reference', local[1], local[2]);
  else if (ABSOLUTE_REFERENCE.test(text)) putText(sink, '', text);
}

/** date, dateTime, instant; Period; Timing with its events and bounds. */
function dateRows(value: Json, put: Put): void {
  if (typeof value === 'string') return putPeriod(put, value, value);
  if (!isObject(value)) return;
  if (Array.isArray(value['event'])) for (const event of value['event']) dateRows(event as Json, put);
  if (isObject(value['repeat'])) dateRows(value['repeat']['boundsPeriod'] ?? null, put);
  if ('start' in value || 'end' in value) putPeriod(put, value['start'] ?? null, value['end'] ?? null);
}

/** A side that is missing is open; a side that cannot be read makes no row. */
function putPeriod(put: Put, from: Json, to: Json): void {
  const start = from === null ? BEGINNING : dateInterval(textOf(from))?.start;
  const end = to === null ? FOREVER : dateInterval(textOf(to))?.end;
  if (start && end) put('index_date', start, end);
}

/** Quantity and its profiles, and Money. */
function quantityRows(value: Json, put: Put): void {
  if (!isObject(value) || typeof value['value'] !== 'number') return;
  const units = [value['system'], value['code'] ?? value['currency'] ?? value['unit']].map(textOf);
  if (units.every(isIndexable)) put('index_quantity', value['value'], ...units);
}

/** Elements of HumanName and Address that string search looks at (R4 §3.1.1.4.8). */
const TEXT_ELEMENTS = [
  'text',
  'family',
  'given',
  'prefix',
  'suffix',
  'line',
  'city',
  'district',
  'state',
  'postalCode',
  'country',
];

function texts(value: Json): string[] {
  if (typeof value === 'string') return [value];
  return isObject(value) ? TEXT_ELEMENTS.flatMap((name) => strings(value, name)) : [];
}

function strings(parent: JsonObject, name: string): string[] {
  const value = parent[name] ?? null;
  return (Array.isArray(value) ? value : [value]).filter((one): one is string => typeof one === 'string');
}

/** A sealed text says nothing here. */
const textOf = (value: Json | undefined): string => (typeof value === 'string' && !isToken(value) ? value : '');
