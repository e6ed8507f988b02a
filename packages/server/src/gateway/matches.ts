/** What fulfils a condition: a blind search at the upstream, and a second look at the opened values that were asked for. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from '../phi/index.ts';
import { asBundle, asResource } from './answers.ts';
import { ask } from './ask.ts';
import { auditEvent, referencesOf } from './audit.ts';
import type { Condition } from './conditional.ts';
import { type Exchange, type Finding, known } from './exchange.ts';
import { prepareOpening } from './sealing.ts';
import { filteredElements, matchesFilters, type PostFilter } from './search/filters.ts';
import { upstreamQuery } from './search/blind-query.ts';
import { narrowed } from './search/shape.ts';

/** A condition as the upstream is asked. */
export interface Question {
  readonly condition: Condition;
  /** Identifies nobody; sorted, so that the order of the criteria does not matter. */
  readonly query: string;
  /** Equal for equal conditions, also where the upstream is asked a coarser question. */
  readonly key: string;
}

export async function questionOf(exchange: Exchange, condition: Condition): Promise<Question> {
  const { type, plan } = condition;
  const parameters = await upstreamQuery(exchange, plan);
  parameters.sort();
  const query = parameters.toString();
  const filters = plan.filters.map((filter) => JSON.stringify(filter)).toSorted();
  return { condition, query, key: `${type}?${query} ${filters.join(' ')}` };
}

/** Two say already that it is not one. */
const ENOUGH_EXACT = 2;
/** Of coarse matches so many are opened and compared; a condition that more could fulfil is none that tells one record. */
const MOST_COARSE = 200;
/** Of all conditions of a request together, beyond what each would find anyway. */
const MOST_COARSE_IN_ALL = 5_000;
/** Searches of one request under way at the same time. */
const AT_ONCE = 8;
/** As soon as so many resources are held they are compared, and all but the matches let go. */
const ENOUGH_HELD = 200;
/** Opened without a pause; then the ledger is waited for, and other requests are served. */
const OPENED_AT_ONCE = 50;

interface Candidates {
  readonly question: Question;
  /** Still sealed. */
  readonly resources: readonly FhirResource[];
  /** The upstream has further ones. */
  readonly more: boolean;
}

/** The one resource that fulfils a condition, still sealed; undefined where none does, `several` where it is not known which. */
export type Match = FhirResource | 'several' | undefined;

/**
 * By key of the question. What was found is in the ledger before anything of it is opened or used.
 * @throws KeywardError `FHIR_CONDITIONS_TOO_WIDE` | `GATEWAY_UPSTREAM_INVALID`, and as opening does
 */
export async function findMatches(
  exchange: Exchange,
  questions: readonly Question[],
): Promise<ReadonlyMap<string, Match>> {
  const distinct = [...new Map(questions.map((question) => [question.key, question])).values()];
  const matches = new Map<string, Match>();
  let held: Candidates[] = [];
  let coarse = 0;
  for (let start = 0; start < distinct.length; start += AT_ONCE) {
    const some = distinct.slice(start, start + AT_ONCE);
    const found = await Promise.all(some.map((question) => askUpstream(exchange, question)));
    for (const { resources } of found) coarse += Math.max(0, resources.length - ENOUGH_EXACT);
    if (coarse > MOST_COARSE_IN_ALL) throw new KeywardError('FHIR_CONDITIONS_TOO_WIDE');
    held.push(...found);
    if (sizeOf(held) < ENOUGH_HELD && start + AT_ONCE < distinct.length) continue;
    for (const [key, match] of await compared(exchange, held)) matches.set(key, match);
    held = [];
  }
  return matches;
}

const sizeOf = (candidates: readonly Candidates[]): number =>
  candidates.reduce((sum, { resources }) => sum + resources.length, 0);

async function compared(exchange: Exchange, candidates: readonly Candidates[]): Promise<[string, Match][]> {
  const asked = askedOf(candidates);
  const all = [...asked.values()];
  for (let start = 0; start < all.length; start += OPENED_AT_ONCE)
    await openAsked(exchange, all.slice(start, start + OPENED_AT_ONCE));
  return candidates.map((each) => [each.question.key, theOne(exchange, each, asked)]);
}

function theOne(
  { gateway }: Exchange,
  { question, resources, more }: Candidates,
  asked: ReadonlyMap<string, Asked>,
): Match {
  if (more) return 'several';
  const { filters } = question.condition.plan;
  const copies = resources.map((resource) => known(asked.get(nameOf(resource)), 'candidate'));
  const [first, ...others] = copies.filter(
    ({ opened }) => filters.length === 0 || matchesFilters(known(opened, 'opened part'), filters, gateway.catalogue),
  );
  return others.length > 0 ? 'several' : first?.resource;
}

async function askUpstream(exchange: Exchange, question: Question): Promise<Candidates> {
  const { type, exact } = question.condition;
  const { body } = await ask(exchange, {
    method: 'POST',
    path: `/${type}/_search`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `${question.query}&_count=${exact ? ENOUGH_EXACT : MOST_COARSE}`,
  });
  const { entry = [], link = [] } = asBundle(body);
  const found = entry
    .flatMap(({ resource }) => (resource === undefined ? [] : [asResource(resource as Json)]))
    .filter(({ resourceType }) => resourceType === type);
  const resources = [...new Map(found.map((resource) => [resource.id, resource])).values()];
  const more = resources.length > MOST_COARSE || link.some(({ relation }) => relation === 'next');
  return { question, resources, more };
}

/** One resource, and all that the conditions which found it ask of it: nothing else of it is opened. */
interface Asked extends Finding {
  readonly filters: PostFilter[];
}

const nameOf = ({ resourceType, id }: FhirResource): string => `${resourceType}/${id ?? ''}`;

/** By name. Should it change between two answers, the copy that came first speaks for it: an update will meet the version of that one. */
function askedOf(candidates: readonly Candidates[]): Map<string, Asked> {
  const asked = new Map<string, Asked>();
  for (const { question, resources, more } of candidates) {
    const { plan, decision } = question.condition;
    for (const resource of resources) {
      const name = nameOf(resource);
      const entry = asked.get(name) ?? { resource, decision, filters: [] };
      // Where there are more, nothing is left to find out.
      if (!more) entry.filters.push(...plan.filters);
      asked.set(name, entry);
    }
  }
  return asked;
}

const NOTHING = { kind: 'elements', names: [] } as const;

async function openAsked(exchange: Exchange, asked: readonly Asked[]): Promise<void> {
  const parts = asked.flatMap((entry) => {
    const { resource, decision, filters } = entry;
    if (filters.length === 0) return [];
    const elements = new Set(filteredElements(resource.resourceType, filters));
    const finding: Finding = { resource, decision, part: narrowed(resource, NOTHING, true, [...elements]) };
    return [{ entry, finding }];
  });
  const opening = prepareOpening(
    exchange,
    parts.map(({ finding }) => finding),
  );
  await exchange.gateway.audit.record([
    auditEvent(exchange, 'disclosure', {
      resources: referencesOf(asked),
      subjects: opening.scopes,
      classes: opening.classes,
      keyIds: opening.keyIds,
    }),
  ]);
  await opening.open();
  for (const { entry, finding } of parts) entry.opened = known(finding.opened, 'opened part');
}
