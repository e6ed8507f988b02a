/** `_include` and `_revinclude`: what the resources of a page refer to, or is referred by. */
import { KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';
import { targetsOf } from './parameters.ts';
import { build, type Bind } from './search-sql.ts';
import type { Statement } from './session.ts';
import type { Address } from './types.ts';

/** More make the page an error, not a page with holes that nobody sees. */
const MAX_INCLUDED = 1000;
/** How far `:iterate` goes from the matches. */
export const MAX_LEVELS = 8;
/** What included bodies may weigh, besides the matches' own. */
const INCLUDED_BYTES = 16 * 1024 * 1024;

export interface IncludeRule {
  /** `_revinclude`: resources of `type` that refer to what is there. */
  readonly reverse: boolean;
  /** Holds for what was included, too. */
  readonly iterate: boolean;
  /** The type that refers. */
  readonly type: string;
  readonly code: string;
  /** The type referred to; any, when undefined. */
  readonly target: string | undefined;
}

/** `Observation:subject` or `Observation:subject:Patient`. Wildcards are not supported. @throws KeywardError */
export function readInclude(
  searched: string,
  value: string,
  { reverse, iterate }: Pick<IncludeRule, 'reverse' | 'iterate'>,
): IncludeRule {
  const [type = '', code = '', target, ...more] = value.split(':');
  const targets = isResourceType(type) ? targetsOf(type, code) : [];
  if (targets.length === 0 || more.length > 0 || (target !== undefined && !targets.includes(target)))
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', {
      detail: 'Name a reference: Type:parameter or Type:parameter:Type.',
    });
  const near = reverse ? (target === undefined ? targets : [target]) : [type];
  if (!iterate && !near.includes(searched))
    throw new KeywardError('FHIR_PARAM_INVALID', {
      detail: 'An inclusion that starts at an included resource takes :iterate.',
    });
  return { reverse, iterate, type, code, target };
}

export interface IncludedRow extends Address {
  readonly version: number;
  /** Size of the sealed body. */
  readonly bytes: number;
}

/** From `source`, a table of types and ids, to the resources at the other end of a reference: `type` and `id`. */
type Branch = (bind: Bind) => string;

const ruleBranch =
  ({ reverse, type, code, target }: IncludeRule): Branch =>
  (bind) => {
    const rule = `l.type = ${bind(type)} AND l.param = ${bind(code)}${target === undefined ? '' : ` AND l.target_type = ${bind(target)}`}`;
    return reverse
      ? `SELECT l.type, l.id FROM source s JOIN index_reference l ON l.target_type = s.type AND l.target_id = s.id WHERE ${rule}`
      : `SELECT l.target_type, l.target_id FROM source s JOIN index_reference l USING (type, id) WHERE ${rule}`;
  };

const targetsBranch =
  (types: readonly string[]): Branch =>
  (bind) =>
    `SELECT l.target_type, l.target_id FROM source s JOIN index_reference l USING (type, id) WHERE l.target_type = ANY(${bind(types)}::text[])`;

/** One step of including: where from, and which of what was found already is not to come again. */
interface Step {
  readonly source: readonly Address[];
  readonly known: readonly Address[];
}

export const stepByRules = (step: Step, rules: readonly IncludeRule[]): Statement =>
  stepStatement(step, rules.map(ruleBranch), undefined);

/** Whatever the source refers to of these types, written since a time. */
export const stepToTypes = (step: Step, types: readonly string[], since: string | undefined): Statement =>
  stepStatement(step, [targetsBranch(types)], since);

function stepStatement({ source, known }: Step, branches: readonly Branch[], since: string | undefined): Statement {
  return build((bind) => {
    const table = (addresses: readonly Address[]) =>
      `unnest(${bind(addresses.map(({ type }) => type))}::text[], ${bind(addresses.map(({ id }) => id))}::text[])`;
    return `
WITH source AS MATERIALIZED (SELECT * FROM ${table(source)} AS s (type, id)),
reached (type, id) AS (${branches.map((branch) => branch(bind)).join(' UNION ')} EXCEPT SELECT * FROM ${table(known)})
SELECT v.type, v.id, v.version, octet_length(v.body) AS bytes
FROM reached JOIN resource r USING (type, id) JOIN resource_version v USING (type, id, version)
WHERE NOT r.deleted${since === undefined ? '' : ` AND r.last_updated >= ${bind(since)}::timestamptz`}
LIMIT ${MAX_INCLUDED + 1}`;
  });
}

/** @throws KeywardError `FHIR_INCLUDES_TOO_MANY` */
export function refuseTooMany(rows: readonly IncludedRow[]): void {
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  if (rows.length > MAX_INCLUDED || bytes > INCLUDED_BYTES) throw new KeywardError('FHIR_INCLUDES_TOO_MANY');
}

export const bodiesStatement = (rows: readonly IncludedRow[]): Statement => ({
  name: 'store-included',
  text: `
SELECT v.type, v.id, v.version, v.last_updated, v.body
FROM unnest($1::text[], $2::text[], $3::integer[]) AS i (type, id, version) JOIN resource_version v USING (type, id, version)
ORDER BY v.type, v.id`,
  values: [rows.map(({ type }) => type), rows.map(({ id }) => id), rows.map(({ version }) => version)],
});
