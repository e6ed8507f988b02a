/** Step 6: no PHI in the URL; what is sealed is asked for by its blind index. */
import { KeywardError } from '../../core/index.ts';
import { openCursor } from '../cursor.ts';
import { type Exchange, known } from '../exchange.ts';
import { blindTerms } from '../sealing.ts';
import { type BlindParameter, pageSize, planSearch } from '../search.ts';

export async function planTypeSearch(exchange: Exchange): Promise<void> {
  const { route, query, form } = exchange;
  const decision = known(exchange.decision, 'decision');
  // With _search the URL may carry parameters too; they are held to the rule for URLs.
  const inUrl = planSearch(route.type, query, true, decision);
  const plan = form === undefined ? inUrl : planSearch(route.type, form, false, decision);
  if (form !== undefined && [...query.keys()].some((name) => name !== '_format' && name !== '_pretty')) {
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'Send all parameters of _search in the body.' });
  }
  exchange.search = plan;
  if (plan.cursor !== undefined) return followCursor(exchange, plan.cursor);
  const parameters = new URLSearchParams(plan.clear.map(([name, value]) => [name, value]));
  for (const blind of plan.blind) parameters.append(blind.name, await blindValue(exchange, blind));
  exchange.outgoing = {
    method: 'POST',
    path: `/${route.type}/_search`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: parameters.toString(),
  };
}

export async function planHistory(exchange: Exchange): Promise<void> {
  const { route, query } = exchange;
  const cursor = query.get('_cursor');
  if (cursor !== null) return followCursor(exchange, cursor);
  const count = query.get('_count');
  const others = [...query.keys()].some((name) => !['_count', '_format', '_pretty'].includes(name));
  if (others) throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'History takes _count.' });
  if (count !== null && !/^\d{1,9}$/.test(count))
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: 'Parameter _count.' });
  exchange.outgoing = {
    method: 'GET',
    path: `/${route.type}/${route.id}/_history${count === null ? '' : `?_count=${pageSize(count)}`}`,
  };
}

async function followCursor(exchange: Exchange, cursor: string): Promise<void> {
  const { path, filters } = await openCursor(exchange, cursor);
  exchange.outgoing = { method: 'GET', path };
  exchange.search = { clear: [], blind: [], filters, cursor };
}

/** `index,index` or `system|index,…`: alternatives joined by OR. A value with nothing to index matches nothing. */
async function blindValue(exchange: Exchange, { terms }: BlindParameter): Promise<string> {
  const indexes = await blindTerms(exchange, terms);
  return terms
    .map(({ tokenSystem }, position) => {
      const index = indexes[position] ?? 'kwi1none';
      return tokenSystem === undefined ? index : `${escapeToken(tokenSystem)}|${index}`;
    })
    .join(',');
}

const escapeToken = (text: string): string => text.replace(/[\\,|$]/g, (character) => `\\${character}`);
