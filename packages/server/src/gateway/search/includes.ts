/** What comes back besides the matches: `_include` and `_revinclude`, asked for by parameter and checked by following the references. */
import { type FhirResource, isResourceType, searchedReferences, searchParameter } from '../../phi/index.ts';
import { invalidParameter, unsupportedParameter } from './values.ts';

export interface Include {
  /** The type that has the reference. */
  readonly type: string;
  readonly code: string;
  /** The only type that is meant, when the reference may name several. */
  readonly target?: string;
  readonly reverse: boolean;
  /** Followed from what was included, too. */
  readonly iterate: boolean;
}

export const MAX_INCLUDES = 20;

export const isInclude = (name: string): boolean => /^_(rev)?include(:|$)/.test(name);

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function includeOf(name: string, value: string): Include {
  const [kind = '', modifier] = name.split(':');
  if (modifier !== undefined && modifier !== 'iterate')
    throw unsupportedParameter(`Parameter ${kind} takes the modifier :iterate.`);
  if (value.includes('*')) throw unsupportedParameter(`Parameter ${kind} takes no wildcards: name each reference.`);
  const [type = '', code = '', target, ...more] = value.split(':');
  const parameter = searchParameter(type, code);
  if (parameter?.type !== 'reference' || more.length > 0)
    throw invalidParameter(`Parameter ${kind} takes [type]:[reference parameter], or these and :[target type].`);
  if (target !== undefined && !(isResourceType(target) && parameter.targets.includes(target)))
    throw invalidParameter(`Parameter ${kind}: the reference does not lead to that target type.`);
  return {
    type,
    code,
    ...(target === undefined ? {} : { target }),
    reverse: kind === '_revinclude',
    iterate: modifier === 'iterate',
  };
}

/** Of the candidates those that the includes lead to from what is shown, directly or, where they iterate, through each other. */
export function includedFrom<T extends { readonly resource: FhirResource }>(
  shown: readonly T[],
  candidates: readonly T[],
  includes: readonly Include[],
): T[] {
  const remaining = new Set(candidates);
  const included: T[] = [];
  let followed = includes;
  for (let from = shown; from.length > 0 && remaining.size > 0; followed = includes.filter(({ iterate }) => iterate)) {
    const found = followed.flatMap((include) => followedBy(include, from, remaining));
    from = [...new Set(found)];
    for (const one of from) remaining.delete(one);
    included.push(...from);
  }
  return included;
}

type Holder = { readonly resource: FhirResource };

function followedBy<T extends Holder>(include: Include, from: readonly T[], remaining: ReadonlySet<T>): T[] {
  const [holders, named] = include.reverse ? [[...remaining], from] : [from, [...remaining]];
  const links = new Map<string, T[]>();
  for (const one of named) {
    if (include.target !== undefined && one.resource.resourceType !== include.target) continue;
    for (const name of namesOf(one.resource)) links.set(name, [...(links.get(name) ?? []), one]);
  }
  return holders
    .filter(({ resource }) => resource.resourceType === include.type)
    .flatMap((holder) => {
      const reached = searchedReferences(holder.resource, include.code).flatMap((text) =>
        readingsOf(text).flatMap((name) => links.get(name) ?? []),
      );
      return include.reverse ? (reached.length > 0 ? [holder] : []) : reached;
    });
}

/** What a reference to a resource can say: its address below any base, or the canonical url it has. */
function namesOf(resource: FhirResource): string[] {
  const url = resource['url'];
  return [`${resource.resourceType}/${resource.id ?? ''}`, ...(typeof url === 'string' ? [url] : [])];
}

/** A reference as an address below any base, and as a canonical; without versions. */
function readingsOf(reference: string): string[] {
  const unversioned = reference.split('/_history/')[0]?.split('|')[0] ?? '';
  const address = /(?:^|\/)([A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,64})$/.exec(unversioned)?.[1];
  return [...new Set([address ?? unversioned, unversioned])];
}
