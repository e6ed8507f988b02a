/** How much one body may hold: sealing and opening happen in one go, and nobody else is served meanwhile. */
import { KeywardError } from '../../core/index.ts';
import type { JsonObjectSpot, JsonSite } from './types.ts';

/** Objects and identifying values together. */
const MAX_PLACES = 20_000;

/** @throws KeywardError as named, as soon as there are too many */
export function assertAmount(
  objects: readonly JsonObjectSpot[],
  sites: readonly JsonSite[],
  code: 'API_BODY_TOO_LARGE' | 'API_RESPONSE_TOO_LARGE',
): void {
  if (objects.length + sites.length > MAX_PLACES) throw new KeywardError(code);
}
