/** Normalisers: what two spellings of one value have in common, declared once per index class. */
import { SealError } from './errors.ts';

/** FHIR's system URI of the US Social Security Number: written with and without hyphens. */
const SSN_SYSTEM = 'http://hl7.org/fhir/sid/us-ssn';

/** Country of numbers written without one: the North American Numbering Plan, whose national numbers have 10 digits. */
const DEFAULT_COUNTRY_CODE = '1';
const NATIONAL = /^\d{10}$/;
const NATIONAL_WITH_COUNTRY = /^1\d{10}$/;
const LEADING_PLUS = /^\D*\+/;
/** What is dialled before a country code: 00 in most of the world, 011 in North America. */
const INTERNATIONAL_PREFIX = /^(?:00|011)/;
/** RFC 3966 scheme at the start; `;ext=5`, `ext. 5` or `x5` at the end. */
const PHONE_SCHEME = /^tel:/i;
const PHONE_EXTENSION = /(?:;ext=|[\s,;]*(?:ext(?:ension)?\.?|x))\s*\d+\s*$/i;
/** The national 0 in `+44 (0)20 …`, which is not dialled from abroad. */
const TRUNK_ZERO = /\(0\)/;

type Normaliser = (text: string, system: string) => string;

/** Never a class with few values (gender, state, diagnosis): its index would tell them apart. */
const NORMALISERS: ReadonlyMap<string, Normaliser> = new Map<string, Normaliser>([
  ['family', foldWords],
  ['given', foldWords],
  ['family-prefix', foldWords],
  ['given-prefix', foldWords],
  ['city', foldWords],
  ['identifier', (text, system) => (system === SSN_SYSTEM ? digits(text) : fold(text).trim())],
  ['phone', phone],
  ['email', (text) => text.normalize('NFKC').trim().toLowerCase()],
  ['postalCode', (text) => text.normalize('NFKC').toUpperCase().replace(/\s+/gu, '')],
]);

/** Classes of the built-in store's own search terms: `store:` and a name of its choice. */
const STORE_CLASS = /^store:./s;

/** '' when nothing is left to search by. */
export function normalise(indexClass: string, system: string, text: string): string {
  const normaliser = NORMALISERS.get(indexClass) ?? (STORE_CLASS.test(indexClass) ? foldWords : undefined);
  if (!normaliser) throw new SealError('SEAL_INDEX_CLASS');
  return normaliser(text, system);
}

/**
 * After Unicode's NFKC_Casefold (UAX #31 §5.1): compatibility forms, letter case and invisible characters do not matter.
 * Lower, upper and lower case again: only the way through upper case joins ß with ss and the two small sigmas, only the first step ẞ.
 */
function fold(text: string): string {
  const visible = text.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}+/gu, '');
  return visible.toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
}

function foldWords(text: string): string {
  return fold(text).replace(/\s+/gu, ' ').trim();
}

function digits(text: string): string {
  return text.normalize('NFKC').replace(/\D+/gu, '');
}

/** E.164 with its `+` where the country is known, else the bare digits. */
function phone(text: string): string {
  const written = text
    .normalize('NFKC')
    .trim()
    .replace(PHONE_SCHEME, '')
    .replace(PHONE_EXTENSION, '')
    .replace(TRUNK_ZERO, '');
  const dialled = digits(written);
  if (LEADING_PLUS.test(written)) return withPlus(dialled);
  if (INTERNATIONAL_PREFIX.test(dialled)) return withPlus(dialled.replace(INTERNATIONAL_PREFIX, ''));
  if (NATIONAL.test(dialled)) return withPlus(DEFAULT_COUNTRY_CODE + dialled);
  return NATIONAL_WITH_COUNTRY.test(dialled) ? withPlus(dialled) : dialled;
}

const withPlus = (number: string): string => (number === '' ? '' : `+${number}`);
