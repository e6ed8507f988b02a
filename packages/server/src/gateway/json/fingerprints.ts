/** Keyed fingerprints of texts: the same for the same text, and telling nobody without the index key what it was. */
import { blindIndex } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { known } from '../exchange.ts';
import { keysToProtect } from '../key-calls.ts';
import type { ApiExchange } from './exchange.ts';

const FINGERPRINT_CLASS = 'identifier';

/** Blind indexes by text. @param system name space: equal texts of two have different fingerprints */
export async function fingerprints(
  exchange: ApiExchange,
  system: string,
  texts: Iterable<string>,
): Promise<Map<string, string>> {
  const wanted = [...new Set(texts)];
  if (wanted.length === 0) return new Map();
  const [key] = await keysToProtect(exchange, [{ kind: 'index', indexClass: FINGERPRINT_CLASS }], [wanted.length]);
  return new Map(
    wanted.map((text): [string, string] => {
      // In hex, so that texts which differ by case or spelling stay different.
      const index = blindIndex(known(key, 'key'), FINGERPRINT_CLASS, system, Buffer.from(text).toString('hex'));
      if (index === undefined) throw new KeywardError('API_SUBJECT_MISSING');
      return [text, index];
    }),
  );
}
