/** Before step 9: conditions become ids. The gateway finds out itself what fulfils them, because it must know under whose key to seal. */
import { KeywardError } from '../../core/index.ts';
import { mapReferences } from '../../phi/index.ts';
import { ask } from '../ask.ts';
import { atEntry, type Condition, criteriaOf, invalidEntry, planCondition } from '../conditional.ts';
import { type Exchange, known, type WriteOperation } from '../exchange.ts';
import { findMatches, type Match, type Question, questionOf } from '../matches.ts';
import { holdsCondition } from '../operations.ts';
import { relativeUrl } from '../routes.ts';
import { settle } from '../settle.ts';

/** Conditions of writes. Who states the same one at the same time waits here until the first has its outcome. */
export async function resolveConditions(exchange: Exchange): Promise<void> {
  const asked = new Map<number, Question>();
  for (const [position, { condition }] of exchange.operations.entries())
    if (condition) asked.set(position, await questionOf(exchange, condition));
  if (asked.size === 0) return;
  const questions = [...asked.values()];
  await exchange.loans.borrow(questions.map(({ key }) => key));
  const found = await findMatches(exchange, questions);
  const created = new Set<string>();
  const operations = [...exchange.operations];
  for (const [position, question] of asked) {
    const operation = known(operations[position], 'operation');
    operations[position] = await inEntry(exchange, position, async () => {
      const match = found.get(question.key);
      if (match === 'several') throw new KeywardError('FHIR_MULTIPLE_MATCHES');
      const settled = settle(operation, question, match);
      if (match === undefined) await refuseUnfit(exchange, settled, question, created);
      return settled;
    });
  }
  refuseOverlap(operations);
  exchange.operations = operations;
}

/** A single write has no entry to name. */
const inEntry = <T>({ route }: Exchange, position: number, work: () => Promise<T>): Promise<T> =>
  route.name === 'bundle' ? atEntry(position, work) : work();

/** What is to be created because nothing fulfils its condition. */
async function refuseUnfit(
  exchange: Exchange,
  { interaction, type, id }: WriteOperation,
  { key }: Question,
  created: Set<string>,
): Promise<void> {
  if (interaction === 'delete') return;
  // Each would create what the other asks for.
  if (created.has(key))
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'It states the same condition as an earlier one.' });
  created.add(key);
  if (id !== '' && (await exists(exchange, `/${type}/${id}`)))
    throw new KeywardError('FHIR_CONFLICT', {
      detail: 'The id in the body belongs to a resource that does not fulfil the condition.',
    });
}

async function exists(exchange: Exchange, path: string): Promise<boolean> {
  try {
    await ask(exchange, { method: 'GET', path });
    return true;
  } catch (error) {
    if (error instanceof KeywardError && (error.code === 'FHIR_NOT_FOUND' || error.code === 'FHIR_GONE')) return false;
    throw error;
  }
}

/** FHIR R4 §3.1.0.11.2: no resource is written twice. Several creates may have found the same one: they write nothing. */
function refuseOverlap(operations: readonly WriteOperation[]): void {
  const written = new Set<string>();
  const named = [...operations.entries()].filter(([, { id }]) => id !== '');
  for (const [position, { type, id, settled }] of named.toSorted(([, left], [, right]) => rank(left) - rank(right))) {
    if (written.has(`${type}/${id}`)) throw invalidEntry(position, 'It means the same resource as another one.');
    if (!settled) written.add(`${type}/${id}`);
  }
}

const rank = ({ settled }: WriteOperation): number => (settled ? 1 : 0);

/** References of a transaction that state criteria (`Practitioner?identifier=…`); in what is not written they do not matter. */
export async function resolveReferences(exchange: Exchange): Promise<void> {
  const stated = conditionalReferences(exchange.operations);
  const questions = new Map<string, Question>();
  for (const [reference, position] of stated)
    questions.set(
      reference,
      await atEntry(position, () => questionOf(exchange, conditionOfReference(exchange, reference))),
    );
  const beside = entriesByKey(exchange.operations);
  const open = [...questions].filter(([, { key }]) => !beside.has(key));
  const found = await findMatches(
    exchange,
    open.map(([, question]) => question),
  );
  const resolved = await Promise.all(
    [...questions].map(async ([reference, { key, condition }]): Promise<[string, string]> => {
      const position = known(stated.get(reference), 'position');
      return [reference, beside.get(key) ?? (await atEntry(position, async () => nameOf(condition, found.get(key))))];
    }),
  );
  exchange.references = new Map(resolved);
}

/** Each with the position of the entry that states it first. */
function conditionalReferences(operations: readonly WriteOperation[]): Map<string, number> {
  const stated = new Map<string, number>();
  for (const [position, { resource, settled }] of operations.entries()) {
    if (!resource || settled || !holdsCondition(resource)) continue;
    mapReferences(resource, (reference) => {
      if (reference.includes('?') && !stated.has(reference)) stated.set(reference, position);
      return reference;
    });
  }
  return stated;
}

const SEARCH = /^([A-Z][A-Za-z]*)\?(.+)$/s;

function conditionOfReference(exchange: Exchange, reference: string): Condition {
  const [, type = '', criteria = ''] = SEARCH.exec(relativeUrl(reference, exchange.gateway.publicBase)) ?? [];
  if (type === '')
    throw new KeywardError('FHIR_PHI_IN_URL', {
      detail: 'A conditional reference is a type, ? and search parameters.',
    });
  return planCondition(exchange, type, criteriaOf(criteria), false);
}

/** What the same transaction creates because nothing fulfils the condition: that, then, is what the reference means. */
const entriesByKey = (operations: readonly WriteOperation[]): ReadonlyMap<string, string> =>
  new Map(
    operations.flatMap(({ unmatched, fullUrl }): [string, string][] =>
      unmatched === undefined || fullUrl === '' ? [] : [[unmatched, fullUrl]],
    ),
  );

function nameOf({ type }: Condition, match: Match): string {
  if (match === 'several') throw new KeywardError('FHIR_MULTIPLE_MATCHES', { detail: 'In a conditional reference.' });
  if (match === undefined) throw new KeywardError('FHIR_REFERENCE_UNRESOLVED');
  return `${type}/${match.id ?? ''}`;
}
