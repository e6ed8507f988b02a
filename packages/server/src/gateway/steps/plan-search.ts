/** Step 6: no PHI in the URL; what is sealed is asked for by its blind index. */
import { KeywardError } from '../../core/index.ts';
import { openCursor } from '../cursor.ts';
import { type Exchange, known } from '../exchange.ts';
import { pageSize, planSearch } from '../search.ts';
import { decideSearch, upstreamQuery } from '../search/blind-query.ts';

export async function planTypeSearch(exchange: Exchange): Promise<void> {
  const { route, query, form } = exchange;
  const decision = known(exchange.decision, 'decision');
  // With _search the URL may carry parameters too; they are held to the rule for URLs.
  const access = { decision, decide: decideSearch(exchange), catalogue: exchange.gateway.catalogue };
  const inUrl = planSearch(route.type, query, true, access);
  const plan = form === undefined ? inUrl : planSearch(route.type, form, false, access);
  if (form !== undefined && [...query.keys()].some((name) => name !== '_format' && name !== '_pretty')) {
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'Send all parameters of _search in the body.' });
  }
  exchange.search = plan;
  exchange.shape = plan.shape;
  if (plan.cursor !== undefined) return followCursor(exchange, plan.cursor);
  const parameters = await upstreamQuery(exchange, plan);
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

export async function followCursor(exchange: Exchange, cursor: string): Promise<void> {
  const others = [...exchange.query.keys()].some((name) => name !== '_cursor' && name !== '_count');
  if (others) throw new KeywardError('FHIR_CURSOR_INVALID');
  const { path, filters, includes, shape } = await openCursor(exchange, cursor);
  exchange.outgoing = { method: 'GET', path };
  exchange.search = { clear: [], blind: [], filters, includes, shape, cursor };
  exchange.shape = shape;
}
