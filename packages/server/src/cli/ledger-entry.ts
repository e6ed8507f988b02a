/** One ledger entry as one line for people. */
import type { Json } from '@keyward/sdk/seal';
import { oneLine } from './failure.ts';
import { at, listAt, textAt } from './json.ts';
import { paint, type Output } from './terminal.ts';

const POSITION_CHARACTERS = 6;
const CLASS_CHARACTERS = 13;

/** Position, time, class; then who (role), what, whose record, decision and the code or rule behind it. */
export function renderEntry(entry: Json, output: Output): string {
  const clear = [
    read(entry, 'position').padStart(POSITION_CHARACTERS),
    read(entry, 'at'),
    read(entry, 'class').padEnd(CLASS_CHARACTERS),
  ];
  return `${[...clear, ...bodyFields(entry, output)].join('  ')}\n`;
}

function bodyFields(entry: Json, output: Output): string[] {
  const event = at(entry, 'event');
  if (at(entry, 'intact') !== true)
    return [paint(output, 'red', 'NOT INTACT: the stored bytes are not those that were recorded')];
  if (event === undefined) return ['(its day key is gone)'];
  const decision = read(event, 'decision');
  return [
    `${read(event, 'actor', 'sub')} (${read(event, 'actor', 'role')})`,
    read(event, 'interaction'),
    summarise(listAt(event, 'resources')),
    decision === 'deny' ? paint(output, 'red', decision) : decision,
    read(event, textAt(event, 'code') === undefined ? 'rule' : 'code'),
  ];
}

const read = (value: Json, ...path: readonly string[]): string => oneLine(textAt(value, ...path) ?? '-');

/** The first record, and how many more. */
function summarise(resources: readonly Json[]): string {
  const [first, ...more] = resources;
  if (typeof first !== 'string') return '-';
  return more.length > 0 ? `${oneLine(first)} +${more.length}` : oneLine(first);
}
