/** The search parameters the store indexes, compiled from the generated R4 table when a type is first used. */
import { isReferenceById, searchParameters } from '../phi/index.ts';
import { compileExpression, type Extractor } from './expression.ts';

/** Types of search parameter that are indexed; composite and special ones are not. */
const INDEXED_TYPES = ['token', 'string', 'reference', 'date', 'uri', 'number', 'quantity'] as const;
type IndexedType = (typeof INDEXED_TYPES)[number];

/** Kept as columns of the resource itself, on every type. */
export const NATIVE_PARAMETERS = [
  { code: '_id', type: 'token', column: 'id' },
  { code: '_lastUpdated', type: 'date', column: 'lastUpdated' },
] as const;
export type NativeColumn = (typeof NATIVE_PARAMETERS)[number]['column'];

export const nativeColumn = (code: string): NativeColumn | undefined =>
  NATIVE_PARAMETERS.find((one) => one.code === code)?.column;

/** `phonetic`: equal tokens cannot tell what sounds alike. `altid`: a person's user name in a plain string, not fit to stand as a code. */
const NOT_INDEXED: readonly string[] = ['phonetic', 'altid'];

export interface IndexedParameter {
  readonly code: string;
  readonly type: IndexedType;
  readonly extract: Extractor;
  /** Of a reference by id, the types it may lead to. None for others, and for canonical URLs. */
  readonly targets: readonly string[];
}

export type ParameterTable = ReadonlyMap<string, IndexedParameter>;

const compiled = new Map<string, ParameterTable>();

/** By code. Compiled once per type: there are as many entries as R4 has resource types. */
export function indexedParameters(resourceType: string): ParameterTable {
  let table = compiled.get(resourceType);
  if (!table) compiled.set(resourceType, (table = compile(resourceType)));
  return table;
}

/** Types that a parameter leads to; none unless it is an indexed reference by id. */
export const targetsOf = (resourceType: string, code: string): readonly string[] =>
  indexedParameters(resourceType).get(code)?.targets ?? [];

function compile(resourceType: string): ParameterTable {
  const table = new Map<string, IndexedParameter>();
  for (const { code, type, expression, targets } of searchParameters(resourceType)) {
    if (!isIndexedType(type) || !expression || nativeColumn(code) || NOT_INDEXED.includes(code)) continue;
    table.set(code, {
      code,
      type,
      extract: compileExpression(expression),
      targets: isReferenceById(resourceType, code) ? targets : [],
    });
  }
  return table;
}

const isIndexedType = (type: string): type is IndexedType => (INDEXED_TYPES as readonly string[]).includes(type);
