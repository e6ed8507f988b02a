/** A planned search as the upstream is asked it: blind indexes in the place of identifying values. */
import { type Exchange, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { blindTerms } from '../sealing.ts';
import type { BlindParameter, SearchPlan } from '../search.ts';

/** What a search may ask of resources that links lead to. */
export const decideSearch =
  ({ gateway, principal }: Exchange) =>
  (type: string): Decision =>
    gateway.policy.decide(known(principal, 'principal'), 'search', type);

/** What a plan asks the upstream: nothing in it identifies anybody. */
export async function upstreamQuery(exchange: Exchange, { clear, blind }: SearchPlan): Promise<URLSearchParams> {
  const parameters = new URLSearchParams(clear.map(([name, value]) => [name, value]));
  for (const parameter of blind) parameters.append(parameter.name, await blindValue(exchange, parameter));
  return parameters;
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
