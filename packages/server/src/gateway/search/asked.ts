/** What a parameter name asks about: an element of the searched type, or of a resource that a chain or `_has` leads to. */
import { KeywardError } from '../../core/index.ts';
import { type Catalogue, isResourceType, searchParameter } from '../../phi/index.ts';
import type { Decision } from '../policy.ts';
import { unsupportedParameter } from './values.ts';

/** Who searches: what may be opened of the searched type, and who decides about the types that links lead to. */
export interface SearchAccess {
  readonly catalogue: Catalogue;
  readonly decision: Decision;
  /** @throws KeywardError `ACCESS_DENIED` | `ACCESS_SCOPE` */
  decide(type: string): Decision;
}

export interface Asked {
  /** The name as the upstream gets it, without the modifier; links say which type they lead to. */
  readonly name: string;
  /** Whose parameter `code` is. */
  readonly type: string;
  readonly code: string;
  readonly modifier: string | undefined;
  /** Asked of another resource than the ones that come back. */
  readonly linked: boolean;
  readonly decision: Decision;
}

/** Links of one parameter, those of `_has` included: each is a join upstream. */
const MAX_LINKS = 3;

const HAS = /^_has:([A-Za-z]+):([A-Za-z-]+):(.+)$/s;
const LINK = /^([A-Za-z_-]+)(?::([A-Za-z]+))?\.(.+)$/s;

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED`; `ACCESS_DENIED` | `ACCESS_SCOPE` for a type that the caller may not search */
export function askedBy(type: string, name: string, access: SearchAccess): Asked {
  // Before anything is looked up: where a link leads to is a question per type that it may lead to, and per link.
  if (linksIn(name) > MAX_LINKS) throw unsupportedParameter(`A chain has at most ${MAX_LINKS} links.`);
  return askedAlong(type, name, access, '', 0);
}

const linksIn = (name: string): number => name.split(/\.|_has:/).length - 1;

function askedAlong(type: string, name: string, access: SearchAccess, prefix: string, links: number): Asked {
  const step = linkOf(type, name);
  if (step) {
    const decision = decideLink(step.type, access);
    return askedAlong(step.type, step.rest, { ...access, decision }, prefix + step.prefix, links + 1);
  }
  const [code = '', modifier, ...more] = name.split(':');
  if (more.length > 0) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  return { name: prefix + code, type, code, modifier, linked: links > 0, decision: access.decision };
}

/** What a link leads to answers for itself; and somebody limited to one patient would be told about others by whether anything is found. */
function decideLink(type: string, access: SearchAccess): Decision {
  const decision = access.decide(type);
  if (decision.patient !== undefined)
    throw new KeywardError('ACCESS_DENIED', { detail: 'A caller limited to one patient cannot search through links.' });
  return decision;
}

interface Link {
  /** As the upstream gets it. */
  readonly prefix: string;
  readonly type: string;
  readonly rest: string;
}

function linkOf(type: string, name: string): Link | undefined {
  if (name.startsWith('_has:')) return reverseLink(type, name);
  if (!name.includes('.')) return undefined;
  const [, code = '', written, rest = ''] = LINK.exec(name) ?? [];
  const targets = searchParameter(type, code)?.targets ?? [];
  if (targets.length === 0) throw unsupportedParameter('A chain begins with a reference parameter of the type.');
  const target = written === undefined ? onlyTarget(targets, code, rest) : written;
  if (!targets.includes(target)) throw unsupportedParameter(`Parameter ${code} does not refer to that type.`);
  return { prefix: `${code}:${target}.`, type: target, rest };
}

/** `_has:Observation:patient:code`: of an Observation that refers to the searched resource. */
function reverseLink(type: string, name: string): Link {
  const [, source = '', code = '', rest = ''] = HAS.exec(name) ?? [];
  if (!searchParameter(source, code)?.targets.includes(type))
    throw unsupportedParameter('Write _has:[type]:[parameter that refers here]:[parameter].');
  return { prefix: `_has:${source}:${code}:`, type: source, rest };
}

/** A blind value is that of one type; and the types are what the caller is authorised for. */
function onlyTarget(targets: readonly string[], code: string, rest: string): string {
  const seen = new Map<string, boolean>();
  const possible = targets.filter((target) => canBeAsked(target, rest, seen));
  const [only, ...others] = possible;
  if (only === undefined) throw unsupportedParameter(`Nothing that ${code} refers to has such a parameter.`);
  if (others.length > 0) throw unsupportedParameter(`Say which type is meant, such as ${code}:${example(possible)}.`);
  return only;
}

/** What most people mean. */
const example = (possible: readonly string[]): string =>
  possible.includes('Patient') ? 'Patient' : (possible[0] as string);

/** @param seen what was found out already, since many types lead to the same ones */
function canBeAsked(type: string, name: string, seen: Map<string, boolean>): boolean {
  const key = `${type}.${name}`;
  const answer = seen.get(key) ?? leadsSomewhere(type, name, seen);
  seen.set(key, answer);
  return answer;
}

function leadsSomewhere(type: string, name: string, seen: Map<string, boolean>): boolean {
  const [, code, written, rest] = LINK.exec(name) ?? [];
  if (code === undefined || rest === undefined) return searchParameter(type, name.split(':')[0] ?? '') !== undefined;
  const targets = searchParameter(type, code)?.targets ?? [];
  return targets.some((target) => (written === undefined || target === written) && canBeAsked(target, rest, seen));
}

/** Whether a name is that of a type whose parameter of this code is a reference: `subject:Patient`. */
export const narrowsType = (type: string, code: string, modifier: string): boolean =>
  isResourceType(modifier) && (searchParameter(type, code)?.targets.includes(modifier) ?? false);
