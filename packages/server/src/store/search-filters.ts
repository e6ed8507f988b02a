/** Conditions of a search, read strictly: parameters of the type itself, chains through its references, and `_has` against them. */
import { KeywardError } from '../core/index.ts';
import { isResourceType, sealsByDefault } from '../phi/index.ts';
import { isIndexable } from './index-rows.ts';
import { type IndexedParameter, indexedParameters, type NativeColumn, nativeColumn, targetsOf } from './parameters.ts';
import { folded, MAX_PREFIX_LETTERS } from './string-tokens.ts';

/** Links of one chain, those of `_has` included; each is a join. */
const MAX_LINKS = 3;

export type Condition = Filter | Chain | Has;

export interface Filter {
  readonly kind: 'filter';
  readonly code: string;
  readonly type: IndexedParameter['type'] | NativeColumn;
  readonly modifier: string;
  /** One of them must hold. Escapes are still in place. */
  readonly values: readonly string[];
}

/** `code` refers to a resource of one of the types, for which `inner` holds. */
export interface Chain {
  readonly kind: 'chain';
  readonly code: string;
  readonly targets: readonly string[];
  readonly inner: Condition;
}

/** A resource of this type, for which `inner` holds, refers here by `code`. */
export interface Has {
  readonly kind: 'has';
  readonly type: string;
  readonly code: string;
  readonly inner: Condition;
}

/** Modifiers by parameter type; `:[Type]` on references besides. */
const MODIFIERS: Readonly<Record<Filter['type'], readonly string[]>> = {
  token: ['', 'not', 'missing'],
  string: ['', 'exact', 'missing'],
  reference: ['', 'missing'],
  date: ['', 'missing'],
  uri: ['', 'missing'],
  number: ['', 'missing'],
  quantity: ['', 'missing'],
  id: [''],
  lastUpdated: [''],
};
const TYPE_MODIFIER = /^[A-Z][A-Za-z]+$/;

/** `_has:Observation:patient:code` and `subject:Patient.name`: what comes first is one link, the rest a condition on its other end. */
const HAS = /^_has:([A-Za-z]+):([\w-]+):(.+)$/;
const LINK = /^([\w-]+)(?::([A-Za-z]+))?\.(.+)$/;

/**
 * @param types what is searched; a chain may lead to any of several
 * @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID`
 */
export function readCondition(types: readonly string[], name: string, value: string, links = 0): Condition {
  const has = HAS.exec(name);
  if (has) return readHas(types, has, value, links);
  const [, link = '', target, end] = LINK.exec(name) ?? [];
  return end === undefined ? readFilter(types, name, value) : readChain(types, link, target, end, value, links);
}

function readHas(types: readonly string[], name: RegExpExecArray, value: string, links: number): Has {
  const [, type = '', code = '', rest = ''] = name;
  if (links >= MAX_LINKS || !isResourceType(type)) throw unsupported();
  if (!targetsOf(type, code).some((target) => types.includes(target))) throw unsupported();
  return { kind: 'has', type, code, inner: readCondition([type], rest, value, links + 1) };
}

function readChain(
  types: readonly string[],
  code: string,
  target: string | undefined,
  rest: string,
  value: string,
  links: number,
): Chain {
  if (links >= MAX_LINKS) throw unsupported();
  const possible = types.flatMap((type) => targetsOf(type, code));
  const next = /^[\w-]+/.exec(rest)?.[0] ?? '';
  const targets = [...new Set(possible)].filter(
    (type) => (target === undefined || type === target) && (next === '_has' || typeOf(type, next) !== undefined),
  );
  if (targets.length === 0) throw unsupported();
  return { kind: 'chain', code, targets, inner: readCondition(targets, rest, value, links + 1) };
}

function readFilter(types: readonly string[], name: string, value: string): Filter {
  const [code = '', modifier = '', ...more] = name.split(':');
  const type = filterType(types, code);
  const known = type && (MODIFIERS[type].includes(modifier) || (type === 'reference' && TYPE_MODIFIER.test(modifier)));
  if (!known || more.length > 0) throw unsupported();
  const values = splitUnescaped(value, ',');
  if (!values.every((one) => one !== '' && isIndexable(one))) throw new KeywardError('FHIR_PARAM_INVALID');
  if (type === 'string' && modifier === '' && types.some((one) => !sealsByDefault(one)))
    values.forEach(refuseLongBeginning);
  return { kind: 'filter', code, type, modifier, values };
}

/** The end of an untyped chain may be on several types; what differs among them cannot be one condition. */
function filterType(types: readonly string[], code: string): Filter['type'] | undefined {
  const found = new Set(types.map((type) => typeOf(type, code)));
  if (found.size > 1)
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', {
      detail: 'The chain may lead to several types: name one, as in subject:Patient.name.',
    });
  return [...found][0];
}

export const typeOf = (resourceType: string, code: string): Filter['type'] | undefined =>
  nativeColumn(code) ?? indexedParameters(resourceType).get(code)?.type;

function refuseLongBeginning(value: string): void {
  if (folded(unescape(value)).length > MAX_PREFIX_LETTERS)
    throw new KeywardError('FHIR_PARAM_INVALID', {
      detail: `A text is found by at most ${MAX_PREFIX_LETTERS} letters of its beginning; :exact takes the whole.`,
    });
}

const unsupported = (): KeywardError => new KeywardError('FHIR_PARAM_UNSUPPORTED');

/** How many values the condition puts into the statement. */
export const valueCount = (condition: Condition): number =>
  condition.kind === 'filter' ? condition.values.length : 1 + valueCount(condition.inner);

/** Splits at a separator that no backslash precedes (R4 §3.1.1.4.1); the escapes stay. */
export function splitUnescaped(text: string, separator: ',' | '|'): string[] {
  const parts = [''];
  for (const [piece] of text.matchAll(/\\.|./gsu)) {
    if (piece === separator) parts.push('');
    else parts.push((parts.pop() ?? '') + piece);
  }
  return parts;
}

export const unescape = (text: string): string => text.replace(/\\([\\,|$])/g, '$1');
