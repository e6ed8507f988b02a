/** Subject scopes of a JSON API: which key protects whose record, the same for the same person at every write. */
import { known } from '../exchange.ts';
import type { ApiExchange } from './exchange.ts';
import { fingerprints } from './fingerprints.ts';

/** Scopes (UUIDs) by what the API calls its subjects. A fingerprint serves as scope: it needs no table. */
export async function scopesOf(exchange: ApiExchange, subjects: readonly string[]): Promise<Map<string, string>> {
  const found = await fingerprints(exchange, `urn:keyward:api-subject:${exchange.api.name}`, subjects);
  return new Map([...found].map(([subject, index]) => [subject, uuidOf(index)]));
}

/** Whom a write is about, by its body and its address: its intent names them already. */
export async function nameSubjects(exchange: ApiExchange): Promise<void> {
  const { operation, pathValues } = known(exchange.asked, 'operation');
  const addressed = operation.subject === undefined ? undefined : pathValues[operation.subject];
  const subjects = [addressed, ...(exchange.sealPlan?.objects ?? []).map(({ subject }) => subject)];
  exchange.scopes = await scopesOf(
    exchange,
    subjects.filter((subject) => subject !== undefined),
  );
}

const INDEX_PREFIX = 'kwi1';
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** 26 digits of 5 bits hold 128 bits and 2 of padding. */
const PADDING_BITS = 2n;

/** The 128 bits of an index as a version 8 UUID (RFC 9562 §5.8), which takes 6 of them for version and variant. */
function uuidOf(index: string): string {
  const digits = index
    .slice(INDEX_PREFIX.length)
    .split('')
    .map((digit) => BigInt(BASE32.indexOf(digit)));
  const bits = digits.reduce((sum, digit) => (sum << 5n) | digit, 0n) >> PADDING_BITS;
  const hex = bits.toString(16).padStart(32, '0');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, variant + hex.slice(17, 20), hex.slice(20)].join(
    '-',
  );
}
