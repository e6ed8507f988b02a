/** How the ledger names the records of a request. */
import { known } from '../exchange.ts';
import type { ApiExchange } from './exchange.ts';

/** The record the address names. */
export const routeName = ({ route }: ApiExchange): string =>
  route.id === '' ? route.type : `${route.type}/${route.id}`;

/** Objects of an answer, else what was asked for; ids only where they are opaque and in clear. @param shows of an object, by its position */
export function namesOf(exchange: ApiExchange, shows: (object: number) => boolean = () => true): string[] {
  const { plan } = known(exchange.recognised, 'answer');
  // The body itself is no object of the API, and a page says nothing of anybody.
  const names = (plan?.objects ?? [])
    .filter(({ page }, position) => position > 0 && !page && shows(position))
    .map(({ type, id }) => `${exchange.api.name}:${type}${id === undefined ? '' : `/${id}`}`);
  return names.length === 0 || exchange.route.id !== ''
    ? [...new Set([routeName(exchange), ...names])]
    : [...new Set(names)];
}
