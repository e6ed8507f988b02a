/** Reads the FHIRPath of R4 search parameters, a small and closed part of the language: from a type to the elements it selects. */
import type { Json } from '@keyward/sdk/seal';
import { isObject } from './marks.ts';
import { type Element, elementsOf } from './structure.ts';

/** An element that an expression passes through, with the filters that stand on it. */
export interface Passed {
  readonly element: Element;
  /** Texts of its `where(…)`. */
  readonly filters: readonly string[];
}

/** The elements from a type to what an expression selects, in order. A choice gives one trail for each of its types. */
export type Trail = readonly Passed[];

const STEP = /\.(?:ofType\((?<type>\w+)\)|where\((?<filter>(?:[^()]|\(\))*)\)|(?<name>[A-Za-z]\w*)(?:\[\d+\])?)/y;

/** `Patient.deceased.exists() and Patient.deceased != false`: the only condition among R4's parameters. It looks at one element. */
const CONDITION = /\.exists\(\) and .*$/;

/** Trails of all alternatives of an expression. One that cannot be read gives none, and whatever relies on it is refused. */
export const trailsOf = (expression: string): Trail[] =>
  expression === ''
    ? []
    : expression.split(' | ').flatMap((alternative) => trailsOfPath(alternative.replace(CONDITION, '')));

function trailsOfPath(path: string): Trail[] {
  const type = /^\w+/.exec(path)?.[0] ?? '';
  let trails: Trail[] = [[]];
  STEP.lastIndex = type.length;
  while (STEP.lastIndex < path.length) {
    const step = STEP.exec(path)?.groups;
    if (!step) return [];
    trails = trails.flatMap((trail) => extend(trail, type, step));
  }
  return trails;
}

function extend(
  trail: Trail,
  start: string,
  { type, filter, name }: Readonly<Record<string, string | undefined>>,
): Trail[] {
  const last = trail.at(-1);
  if (name !== undefined) return stepsTo(last?.element.type ?? start, name).map((passed) => [...trail, passed]);
  if (last && filter !== undefined) return [[...trail.slice(0, -1), { ...last, filters: [...last.filters, filter] }]];
  return last?.element.type === type ? [trail] : [];
}

/** An element by its name, or every type of a choice by its stem. */
function stepsTo(owner: string, name: string): Passed[] {
  const elements = [...(elementsOf(owner)?.values() ?? [])];
  return elements.filter((element) => element.stem === name).map((element) => ({ element, filters: [] }));
}

/** What a trail leads to in a resource; conditions in its expression are not asked. */
export const valuesAt = (value: Json, trail: Trail): Json[] =>
  trail.reduce<Json[]>((values, { element }) => values.flatMap((part) => entriesOf(part, element.name)), [value]);

export function entriesOf(value: Json, name: string): Json[] {
  const found = isObject(value) ? value[name] : undefined;
  if (found === undefined) return [];
  return Array.isArray(found) ? [...(found as readonly Json[])] : [found];
}
