/** Paging cursors: where the upstream's next page is, in a token for the caller. */
import type { Json } from '@keyward/sdk/seal';
import { openForCaller, sealForCaller, type TokenSite } from './caller-token.ts';
import type { Exchange } from './exchange.ts';
import type { SearchPlan } from './search.ts';

/** What a page needs to know of the search it belongs to. */
type Continued = Pick<SearchPlan, 'filters' | 'includes' | 'shape'>;

interface CursorContent extends Continued {
  /** Path and query below the upstream's base. */
  readonly path: string;
}

const siteOf = ({ route }: Exchange): TokenSite => ({
  objectType: 'Cursor',
  // A context has no empty members.
  objectId: route.id === '' ? 'type' : route.id,
  path: `${route.name}/${route.type}`,
});

export function sealCursor(exchange: Exchange, path: string, search: Continued | undefined): Promise<string> {
  const { filters = [], includes = [], shape } = search ?? {};
  // Members that are not there are no JSON.
  const content = JSON.parse(JSON.stringify({ path, filters, includes, shape })) as Json;
  return sealForCaller(exchange, siteOf(exchange), content);
}

/** @throws KeywardError `FHIR_CURSOR_INVALID`. */
export async function openCursor(exchange: Exchange, token: string): Promise<CursorContent> {
  const content: Json = await openForCaller(exchange, siteOf(exchange), token, 'FHIR_CURSOR_INVALID');
  return content as unknown as CursorContent;
}
