/** Reads `x-phi` of a member or parameter, and says which treatment is possible where. */
import { z } from 'zod';
import { FIELD_CLASSES, INDEX_CLASSES } from '../types.ts';
import { below, mapFault, type Place } from './document.ts';
import { JSON_TREATMENTS, type JsonRule, type JsonTreatment, type QueryRule } from './types.ts';

const shape = z.strictObject({
  class: z.enum(FIELD_CLASSES),
  treatment: z.enum(JSON_TREATMENTS).optional(),
  index: z.enum(INDEX_CLASSES).optional(),
  /** Of an identifier, as in FHIR; separates name spaces of one index class. */
  system: z
    .string()
    .regex(/^\P{Cc}+$/u)
    .optional(),
  companion: z.string().min(1).optional(),
  upstreamType: z.literal('string').optional(),
});

/** Ciphertext is text: where it replaces the value in place, the upstream must take text there. */
const TYPES: Readonly<Record<JsonTreatment, readonly string[]>> = {
  seal: ['string', 'number', 'integer', 'boolean'],
  index: ['string'],
  year: ['string'],
  omit: ['string', 'number', 'integer', 'boolean'],
};
const DATE_FORMATS: readonly unknown[] = ['date', 'date-time'];

/** Undefined without `x-phi`. @param member name of the property; undefined in lists and maps, where nothing has a companion */
export function ruleAt(place: Place, api: string, member: string | undefined): JsonRule | undefined {
  const phi = phiOf(place);
  if (!phi) return undefined;
  const { treatment = 'seal' } = phi;
  const at = below(place.at, 'x-phi');
  const datatype = datatypeOf(place);
  if (!TYPES[treatment].includes(datatype)) throw mapFault(at, `${treatment} is not possible on ${datatype}.`);
  if (treatment === 'seal' && datatype !== 'string' && phi.upstreamType === undefined)
    throw mapFault(
      at,
      `a sealed ${datatype} is stored as text: say upstreamType: string where the upstream takes that.`,
    );
  if (treatment === 'year' && !DATE_FORMATS.includes(place.value['format']))
    throw mapFault(at, 'year needs format: date or date-time.');
  if (treatment !== 'seal' && member === undefined)
    throw mapFault(at, `${treatment} needs a member beside it, which lists and maps have not; use seal.`);
  if (treatment !== 'index' && (phi.index ?? phi.system) !== undefined)
    throw mapFault(at, 'index and system belong to treatment index.');
  if (treatment === 'seal' && phi.companion !== undefined) throw mapFault(at, 'seal has no companion.');
  return {
    fieldClass: phi.class,
    treatment,
    index: treatment === 'index' ? indexOf(phi, place, api) : undefined,
    companion: treatment === 'seal' ? undefined : (phi.companion ?? `${member}Sealed`),
    datatype,
    maskable: datatype === 'string' && treatment !== 'year' && place.value['format'] === undefined,
  };
}

/** Undefined without `x-phi` on the parameter or its schema. */
export function queryPhi(parameter: Place, schema: Place, api: string): QueryRule['phi'] {
  const [place, phi] = phiOf(parameter) ? [parameter, phiOf(parameter)] : [schema, phiOf(schema)];
  if (!phi) return undefined;
  if (phi.treatment !== 'index')
    throw mapFault(
      below(place.at, 'x-phi'),
      'a parameter can only have treatment index: nothing else can be searched.',
    );
  return { fieldClass: phi.class, index: indexOf(phi, place, api) };
}

export const hasPhi = ({ value }: Place): boolean => value['x-phi'] !== undefined;

function phiOf(place: Place): z.infer<typeof shape> | undefined {
  if (!hasPhi(place)) return undefined;
  const parsed = shape.safeParse(place.value['x-phi']);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'x-phi'}: ${message}`).join('; ');
  throw mapFault(below(place.at, 'x-phi'), where);
}

/** The default system keeps equal values of two APIs from having equal indexes. */
function indexOf(phi: z.infer<typeof shape>, { at, value }: Place, api: string): NonNullable<JsonRule['index']> {
  if (phi.index === undefined) throw mapFault(below(at, 'x-phi'), 'treatment index needs an index class.');
  if (value['enum'] !== undefined || value['const'] !== undefined)
    throw mapFault(
      below(at, 'x-phi'),
      'what has few values must not be indexed: equal values could be counted. Use seal.',
    );
  return { indexClass: phi.index, system: phi.system ?? `urn:keyward:api:${api}` };
}

/** One type besides null: it decides what the ciphertext is bound to. */
function datatypeOf({ at, value }: Place): string {
  const { type } = value;
  const types = (Array.isArray(type) ? type : [type]).filter((name) => name !== 'null');
  const [only] = types;
  if (types.length !== 1 || typeof only !== 'string') throw mapFault(at, 'a member with x-phi needs exactly one type.');
  return only;
}
