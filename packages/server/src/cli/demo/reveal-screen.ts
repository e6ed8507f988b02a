/** The screen of `demo reveal`: two roles beside what the FHIR server received, then what its database holds. */
import type { Json } from '@keyward/sdk/seal';
import { at, isObject, listAt, textAt } from '../json.ts';
import { paint, type Output } from '../terminal.ts';
import { cut, leavesOf, renderTable, tokensOf } from './columns.ts';
import type { Reveal } from './reveal.ts';

/** Together with the gaps 100 characters, what most terminals show. */
const COLUMNS = [
  { title: 'element', widthCharacters: 24 },
  { title: 'clinician (TREAT)', widthCharacters: 28 },
  { title: 'billing (HPAYMT)', widthCharacters: 20 },
  { title: 'FHIR server received', widthCharacters: 22 },
];
const LINE_CHARACTERS = 100;

/** Elements that say how the record is built, and nothing about the person. */
const ABOUT_THE_RECORD = /(^|\.)(resourceType|id|meta|active|url|system|use|type|reference)\b/;
const NOT_SHOWN = '—';

export function renderReveal(views: Reveal, output: Output): string {
  const heading = (text: string) => `${paint(output, 'bold', text)}\n\n`;
  const received = at(views.database, 'received');
  return [
    heading(`${views.reference} through the gateway`),
    renderTable(received === undefined ? COLUMNS.slice(0, -1) : COLUMNS, personRows(views, received)),
    '\n',
    heading('The same as the database holds it'),
    renderHeld(views.database),
  ].join('');
}

/** One row per element that the clinician sees and that the FHIR server received as a token, if that is known. */
function personRows({ clinician, billing }: Reveal, received: Json | undefined): string[][] {
  const billed = leavesOf(billing);
  const tokens = tokensOf(received);
  const isShown = (path: string) => (received === undefined ? !ABOUT_THE_RECORD.test(path) : tokens.has(path));
  return [...leavesOf(clinician)]
    .filter(([path]) => isShown(path))
    .map(([path, value]) => [path, value, billed.get(path) ?? NOT_SHOWN, tokens.get(path) ?? '']);
}

function renderHeld(database: Json): string {
  const index = at(database, 'index');
  const tables = isObject(index) ? Object.keys(index).filter((table) => listAt(index, table).length > 0) : [];
  return [
    `body   ${renderBody(textAt(database, 'body'))}\n`,
    ...tables.map((table) => renderRows(table, listAt(index, table))),
  ].join('');
}

const BASE64_BITS_PER_CHARACTER = 6;
const BODY_SHOWN_CHARACTERS = 60;

function renderBody(body: string | undefined): string {
  if (body === undefined) return '(deleted)';
  const bytes = Math.floor((body.length * BASE64_BITS_PER_CHARACTER) / 8);
  return `${cut(body, BODY_SHOWN_CHARACTERS)}  ${bytes} bytes, sealed whole`;
}

const ROWS_SHOWN = 6;

function renderRows(table: string, rows: readonly Json[]): string {
  const shown = rows.slice(0, ROWS_SHOWN).map((row) => `  ${cut(renderRow(row), LINE_CHARACTERS - 2)}\n`);
  const more = rows.length > ROWS_SHOWN ? `  … and ${rows.length - ROWS_SHOWN} more\n` : '';
  return `${table}\n${shown.join('')}${more}`;
}

/** `column=value` pairs; empty columns tell nothing. */
function renderRow(row: Json): string {
  const columns = isObject(row) ? Object.entries(row) : [];
  return columns
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
