/** Whether an id that stays readable tells who a record is about: ids stand in URLs, logs and the upstream's tables. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { comparable, comparableTexts, TELLING, UUID } from '../reveal.ts';
import type { JsonSealSite } from './types.ts';

/**
 * @param ids of objects and subjects, and what the address holds
 * @throws KeywardError `API_ID_REFUSED` when one is a name, an identifier, a contact or a birth date of the same body
 */
export function assertOpaqueIds(ids: readonly Json[], sites: readonly JsonSealSite[]): void {
  const told = sites.filter(({ fieldClass }) => TELLING.has(fieldClass));
  const names = told.filter(({ fieldClass }) => fieldClass === 'name');
  const telling = comparableTexts(told.map(valueOf), names.map(valueOf));
  for (const id of ids.map(textOf))
    if (!UUID.test(id) && telling.has(comparable(id))) throw new KeywardError('API_ID_REFUSED');
}

const textOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));
const valueOf = ({ value }: JsonSealSite): string => textOf(value);
