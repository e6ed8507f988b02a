/** Answers about keys for people: tables that fit 80 columns. */
import type { Json } from '@keyward/sdk/seal';
import { type Column, renderTable } from '../demo/columns.ts';
import { oneLine } from '../failure.ts';
import { at, isObject, listAt } from '../json.ts';

interface Field extends Column {
  readonly of: (row: Json) => string;
}

const field = (title: string, widthCharacters: number, of: Field['of']): Field => ({ title, widthCharacters, of });

/** What stands at a path, as text. */
const show =
  (...path: readonly string[]) =>
  (row: Json): string => {
    const value = at(row, ...path);
    if (value === undefined || value === null) return '-';
    return typeof value === 'string' ? value : JSON.stringify(value);
  };

/** `2026-01-02T03:04:05.678Z` → `2026-01-02 03:04`; UTC, as everywhere. */
const time =
  (name: string) =>
  (row: Json): string =>
    show(name)(row).replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*$/, '$1 $2');

/** People stand in records as `ISSUER SUB`. */
const person =
  (name: string) =>
  (row: Json): string =>
    show(name)(row).split(' ').at(-1) ?? '-';

const KEKS = [
  field('KEK', 8, show('ref')),
  field('state', 14, show('state')),
  field('created', 16, time('createdAt')),
  field('activated', 16, time('activatedAt')),
  field('uses', 12, show('uses')),
];
const KEYS = [
  field('key', 36, show('ref')),
  field('state', 14, show('state')),
  field('created', 16, time('createdAt')),
  field('uses', 8, show('uses')),
];
const COUNTS = [
  field('data keys', 12, show('kind')),
  field('state', 14, show('state')),
  field('keys', 10, show('keys')),
];
const TRANSITIONS = [
  field('at', 16, time('at')),
  field('to', 14, show('to')),
  field('by', 18, person('actor')),
  field('reason', 26, show('reason')),
];
const DESTRUCTIONS = [
  field('destruction', 36, show('id')),
  field('state', 9, show('state')),
  field('due', 16, time('dueAt')),
  field('attempts', 8, show('attempts')),
];
const HOLDS = [field('hold', 36, show('id')), field('by', 14, person('placedBy')), field('reason', 26, show('reason'))];
/** By themselves they name what they are over; one shows them beneath that. */
const ALL_HOLDS = [
  field('hold', 36, show('id')),
  field('on', 20, show('target')),
  field('by', 10, person('placedBy')),
  field('reason', 8, show('reason')),
];
const ALL_DESTRUCTIONS = [
  field('destruction', 36, show('id')),
  field('of', 14, show('target')),
  field('state', 9, show('state')),
  field('due', 10, (row) => time('dueAt')(row).slice(0, 'YYYY-MM-DD'.length)),
];
/** In whole: for comparing, and for `verify-certificate`. */
const SIGNING_KEYS = [
  field('created', 10, (row) => time('createdAt')(row).slice(0, 'YYYY-MM-DD'.length)),
  field('public key', 64, show('publicKey')),
];
const ACCEPTANCES = [
  field('risk accepted by', 18, person('acceptedBy')),
  field('until', 16, time('expiresAt')),
  field('reason', 40, show('reason')),
];
const ROLES = [
  field('who', 26, show('sub')),
  field('role', 14, show('role')),
  field('counts', 6, show('counts')),
  field('enrolled', 8, show('enrolled')),
  field('granted', 16, time('grantedAt')),
];
const REQUESTS = [
  field('request', 36, show('id')),
  field('act', 14, show('act')),
  field('state', 9, show('state')),
  field('by', 14, show('requester', 'sub')),
];
const JOBS = [
  field('job', 12, show('kind')),
  field('state', 8, show('state')),
  field('done', 10, show('done')),
  field('of', 10, show('total')),
  field('started', 16, time('startedAt')),
  field('code', 14, show('code')),
];
const SETTINGS = [
  field('setting', 22, show('name')),
  field('value', 6, show('value')),
  field('configured', 10, show('configured')),
  field('meaning', 34, show('summary')),
];
const STALE = [
  field('data keys', 12, show('kind')),
  field('state', 14, show('state')),
  field('keys', 10, show('count')),
];
const EXPOSED = [
  field('exposed by', 12, show('kek')),
  field('data keys', 12, show('kind')),
  field('keys', 10, show('count')),
  field('active', 10, show('active')),
];
const USES = [
  field('process', 10, show('process')),
  field('purpose', 9, show('purpose')),
  field('operation', 15, show('interaction')),
  field('count', 7, show('count')),
  field('people', 6, show('people')),
  field('last', 16, time('last')),
];

const BACKUPS = [
  field('backup', 36, show('file')),
  field('restores with', 13, (row) => `${show('threshold')(row)} of ${show('shares')(row)}`),
  field('by', 12, person('by')),
  field('made', 16, time('at')),
];
const DRILLS = [
  field('at', 16, time('at')),
  field('opened', 6, show('opened')),
  field('code', 20, show('errorCode')),
  field('by', 12, person('by')),
  field('backup', 20, show('backup')),
];

const table = (fields: readonly Field[], rows: readonly Json[]): string =>
  renderTable(
    fields,
    rows.map((row) => fields.map(({ of }) => of(row))),
  );

/** Tables for the lists that are there and hold something. */
const tables =
  (...parts: readonly (readonly [name: string, fields: readonly Field[]])[]) =>
  (answer: Json): string => {
    const shown = parts.filter(([name]) => listAt(answer, name).length > 0);
    return shown.map(([name, fields]) => table(fields, listAt(answer, name))).join('\n') || 'none\n';
  };

/** Of an answer that is a list itself. */
const listOf =
  (fields: readonly Field[]) =>
  (answer: Json): string =>
    listAt(answer).length === 0 ? 'none\n' : table(fields, listAt(answer));

export const renderHolds = listOf(ALL_HOLDS);
export const renderDestructions = listOf(ALL_DESTRUCTIONS);
export const renderSigningKeys = listOf(SIGNING_KEYS);
export const renderList = tables(['keks', KEKS], ['counts', COUNTS], ['keys', KEYS]);
export const renderKey = tables(
  ['versions', KEYS],
  ['transitions', TRANSITIONS],
  ['holds', HOLDS],
  ['acceptances', ACCEPTANCES],
  ['destructions', DESTRUCTIONS],
);
export const renderBackups = tables(['backups', BACKUPS]);
export const renderDrills = tables(['drills', DRILLS]);
export const renderRoles = tables(['roles', ROLES]);
export const renderRequests = tables(['requests', REQUESTS]);
export const renderJobs = tables(['jobs', JOBS]);
export const renderSettings = tables(['settings', SETTINGS]);
export const renderUses = tables(['uses', USES]);

const renderStaleTables = tables(['keys', STALE], ['exposed', EXPOSED]);
export const renderStale = (answer: Json): string => `${renderStaleTables(answer)}${show('advice')(answer)}\n`;

/** Member by member, where no table fits. */
export function renderRecord(answer: Json): string {
  if (!isObject(answer)) return `${oneLine(JSON.stringify(answer))}\n`;
  const names = Object.keys(answer);
  const width = Math.max(...names.map((name) => name.length), 0);
  return names.map((name) => `${name.padEnd(width)}  ${oneLine(show(name)(answer))}\n`).join('') || 'done\n';
}
