/** `$everything`: the record of a patient or an encounter, page by page, each with the resources it refers to. */
import { compartmentParameters, isCompartmentType, RESOURCE_TYPES } from '../phi/index.ts';
import { targetsOf } from './parameters.ts';
import type { EverythingRequest } from './search-parse.ts';
import { build, pageOf } from './search-sql.ts';
import type { Statement } from './session.ts';
import type { Address } from './types.ts';

const SUPPORTING = ['Practitioner', 'PractitionerRole', 'Organization', 'Location', 'Medication', 'Device'];

interface RecordKind {
  /** Codes of the parameters by which resources of a type belong to the record. */
  readonly members: (type: string) => readonly string[];
  /** Types of what a page refers to and brings along. */
  readonly along: readonly string[];
}

const RECORDS: Readonly<Record<string, RecordKind>> = {
  // Another patient that this one is linked to has a record of its own.
  Patient: { members: (type) => (type === 'Patient' ? [] : compartmentParameters(type)), along: SUPPORTING },
  // What http://hl7.org/fhir/R4/compartmentdefinition-encounter.html lists, within patients' records.
  Encounter: {
    members: (type) =>
      isCompartmentType(type)
        ? ['encounter', 'context'].filter((code) => targetsOf(type, code).includes('Encounter'))
        : [],
    along: [...SUPPORTING, 'Patient'],
  },
};

/** Types that have the operation. */
export const EVERYTHING_TYPES: readonly string[] = Object.keys(RECORDS);

/** Types that come along with a page, as far as they were asked for. */
export const typesAlong = ({ type }: Address, { types }: EverythingRequest): string[] =>
  (RECORDS[type]?.along ?? []).filter((one) => types === undefined || types.includes(one));

/** A page of the record in the order of types and ids; what the pages before held is not looked at again. */
export function everythingStatement(record: Address, { types, since, after, count }: EverythingRequest): Statement {
  const members = membersOf(record.type);
  return build((bind) => {
    const [type, id] = [bind(record.type), bind(record.id)];
    const place = after?.map((part) => `${bind(part)}::text`).join(', ');
    const beyond = (table: string) => (place === undefined ? '' : ` AND (${table}.type, ${table}.id) > (${place})`);
    const parameters = [0, 1].map((column) => `${bind(members.map((member) => member[column]))}::text[]`).join(', ');
    return pageOf(`SELECT r.type, r.id, r.version, ARRAY[r.type, r.id] AS keys, row_number() OVER (ORDER BY r.type, r.id) AS place
FROM resource r WHERE NOT r.deleted AND (r.type, r.id) IN (
SELECT ${type}, ${id} UNION ALL
SELECT l.type, l.id FROM unnest(${parameters}) AS m (type, param) JOIN index_reference l USING (type, param)
WHERE l.target_type = ${type} AND l.target_id = ${id}${beyond('l')})${beyond('r')}
${types === undefined ? '' : `AND r.type = ANY(${bind(types)}::text[])`}
${since === undefined ? '' : `AND r.last_updated >= ${bind(since)}::timestamptz`}
ORDER BY r.type, r.id LIMIT ${bind(count + 1)}`);
  });
}

const membersOf = (recordType: string): [type: string, code: string][] =>
  RESOURCE_TYPES.flatMap((type) =>
    (RECORDS[recordType]?.members(type) ?? []).map((code): [string, string] => [type, code]),
  );
