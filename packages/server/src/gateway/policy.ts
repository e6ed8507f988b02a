/** The access policy: one YAML table, compiled once; answers who may do what and which classes are opened. */
import { z } from 'zod';
import { parse as parseYaml } from 'yaml';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KeywardError, PURPOSES_OF_USE } from '../core/index.ts';
import type { Principal } from '../identity/index.ts';
import { FIELD_CLASSES, type FieldClass, isResourceType, sealsByDefault } from '../phi/index.ts';
import { isId } from './routes.ts';
import { scopeGrant } from './scopes.ts';

export const POLICY_INTERACTIONS = [
  'read',
  'vread',
  'history',
  'search',
  'create',
  'update',
  'delete',
  'export',
  'backfill',
  'scope',
] as const;
export type PolicyInteraction = (typeof POLICY_INTERACTIONS)[number];

const classList = z.array(z.enum(['*', ...FIELD_CLASSES]));
const ruleSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  purposes: z.array(z.enum(PURPOSES_OF_USE)).min(1),
  types: z.array(z.string()).min(1),
  interactions: z.array(z.enum(POLICY_INTERACTIONS)).min(1),
  compartment: z.literal('patient').optional(),
  open: classList,
  mask: classList.default([]),
});
const policySchema = z.strictObject({
  version: z.literal(1),
  roles: z.record(z.string(), z.strictObject({ mfa: z.boolean(), rules: z.array(ruleSchema) })),
});

/** What a permitted interaction may open. */
export interface Decision {
  readonly rule: string;
  readonly open: ReadonlySet<FieldClass>;
  readonly mask: ReadonlySet<FieldClass>;
  /** Logical id of the only patient whose compartment is permitted. */
  readonly patient: string | undefined;
}

export interface AccessPolicy {
  /** Short name of this policy's content, written into every sealed resource. */
  readonly version: string;
  /** @throws KeywardError `IDENTITY_MFA_REQUIRED` | `ACCESS_SCOPE` | `ACCESS_DENIED`. */
  decide(principal: Principal, interaction: PolicyInteraction, type: string): Decision;
  /** Roles that some rule lets read a type and open a class of it, whatever the purpose. */
  readonly openedBy: (type: string, fieldClass: FieldClass) => string[];
}

type Rule = z.infer<typeof ruleSchema>;

/** What the rules of one policy can speak of. */
export interface PolicyTerms {
  readonly isType: (type: string) => boolean;
  readonly interactions: readonly PolicyInteraction[];
  /** Whether its types have patients' compartments. */
  readonly compartments: boolean;
  /** Whether a body that was shown in part says so itself, as FHIR's SUBSETTED does. */
  readonly tagsParts: boolean;
}

const FHIR_TERMS: PolicyTerms = {
  isType: isResourceType,
  interactions: POLICY_INTERACTIONS,
  compartments: true,
  tagsParts: true,
};

/** @throws KeywardError `CONFIG_INVALID`, also for a rule that may write what it cannot see whole. */
export function loadPolicy(file: string | URL, terms: PolicyTerms = FHIR_TERMS): AccessPolicy {
  const { roles } = readPolicy(file);
  for (const { rules } of Object.values(roles)) {
    for (const rule of rules) refuseForeignTerms(rule, terms);
    rules.forEach(refuseFaultyRule);
    if (!terms.tagsParts) rules.forEach(refuseUpdateOfParts);
  }
  return {
    version: createHash('sha256').update(JSON.stringify(roles)).digest('hex').slice(0, VERSION_CHARS),
    openedBy: (type, fieldClass) =>
      Object.keys(roles).filter((role) => roles[role]?.rules.some((rule) => opens(rule, type, fieldClass))),
    decide(principal, interaction, type) {
      const role = Object.hasOwn(roles, principal.role) ? roles[principal.role] : undefined;
      if (role?.mfa && !principal.mfa) throw new KeywardError('IDENTITY_MFA_REQUIRED');
      const rule = role?.rules.find((candidate) => permits(candidate, principal, interaction, type));
      if (!rule) throw new KeywardError('ACCESS_DENIED');
      const grant = scopeGrant(principal.scopes, interaction, type);
      if (grant === 'none') throw new KeywardError('ACCESS_SCOPE');
      // A patient scope limits what can be a patient's. A directory entry is nobody's record: anyone may look it up, but who acts for one patient changes none.
      const isLookUp = !sealsByDefault(type) && LOOK_UPS.has(interaction);
      const limited = rule.compartment === 'patient' || (grant === 'patient' && !isLookUp);
      // Without a patient in context a limited rule opens nobody's record, never everybody's.
      // Nor with one that is no id: it becomes a part of paths and parameters.
      if (limited && !isId(principal.patient)) throw new KeywardError('ACCESS_SCOPE');
      return {
        rule: rule.id,
        open: classes(rule.open),
        mask: classes(rule.mask),
        patient: limited ? principal.patient : undefined,
      };
    },
  };
}

const LOOK_UPS: ReadonlySet<PolicyInteraction> = new Set(['read', 'vread', 'search']);

/** Of the policy's content; long enough to tell policies apart. */
const VERSION_CHARS = 16;

function readPolicy(file: string | URL): z.infer<typeof policySchema> {
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new KeywardError('CONFIG_INVALID', {
      detail: 'The file in gateway.policyFile cannot be read as YAML.',
      cause,
    });
  }
  const parsed = policySchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path, code }) => `${path.join('.') || '(root)'}: ${code}`).join('; ');
  throw new KeywardError('CONFIG_INVALID', { detail: `Access policy: ${where}.`, cause: parsed.error });
}

export const DEFAULT_POLICY = new URL('./policy.yaml', import.meta.url);

function permits(
  rule: Rule,
  principal: Pick<Principal, 'purpose'>,
  interaction: PolicyInteraction,
  type: string,
): boolean {
  return (
    (rule.types.includes('*') || rule.types.includes(type)) &&
    rule.interactions.includes(interaction) &&
    principal.purpose !== undefined &&
    (rule.purposes as readonly string[]).includes(principal.purpose)
  );
}

const opens = ({ types, interactions, open }: Rule, type: string, fieldClass: FieldClass): boolean =>
  (types.includes('*') || types.includes(type)) &&
  (interactions.includes('read') || interactions.includes('search')) &&
  classes(open).has(fieldClass);

const classes = (list: Rule['open']): ReadonlySet<FieldClass> =>
  new Set(list.includes('*') ? FIELD_CLASSES : (list as FieldClass[]));

function refuseForeignTerms(
  { id, types, interactions, compartment }: Rule,
  { isType, interactions: known, compartments }: PolicyTerms,
): void {
  const type = types.find((name) => name !== '*' && !isType(name));
  if (type !== undefined) throw faultyRule(id, `names ${type}, which is not a type here`);
  const interaction = interactions.find((name) => !known.includes(name));
  if (interaction) throw faultyRule(id, `names ${interaction}, which is not an interaction here`);
  if (compartment && !compartments) throw faultyRule(id, 'names a compartment, and there are none here');
}

function refuseFaultyRule(rule: Rule, position: number, rules: readonly Rule[]): void {
  const { id, interactions, open, compartment } = rule;
  if (interactions.includes('export') && compartment !== undefined) {
    throw faultyRule(id, 'exports one compartment, but an export is never of one patient: read and search are');
  }
  if (interactions.includes('update') && !open.includes('*')) {
    throw faultyRule(id, 'may update but does not open every class, so a write-back could erase data');
  }
  const earlier = rules.slice(0, position).find((candidate) => covers(candidate, rule));
  if (earlier) throw faultyRule(id, `never decides, because ${earlier.id} comes first and covers it`);
}

/** Who is shown some of a record and never all of it has nothing to write back but a body with holes. */
function refuseUpdateOfParts(rule: Rule, _position: number, rules: readonly Rule[]): void {
  const types = new Set(rules.flatMap((each) => each.types));
  for (const purpose of rule.purposes)
    for (const type of types) {
      const decides = (interaction: PolicyInteraction) =>
        rules.find((each) => permits(each, { purpose }, interaction, type));
      const views = [decides('read'), decides('search')].filter((view) => view !== undefined);
      const seesParts = views.length > 0 && !views.some(({ open }) => classes(open).size === FIELD_CLASSES.length);
      if (decides('update') === rule && seesParts)
        throw faultyRule(rule.id, 'may update what its role is shown only in part, so a write-back could erase data');
    }
}

const faultyRule = (id: string, why: string) =>
  new KeywardError('CONFIG_INVALID', { detail: `Access policy: rule ${id} ${why}.` });

/** Whether whatever fits `rule` fits `earlier` too. */
function covers(earlier: Rule, rule: Rule): boolean {
  const within = (one: readonly string[], all: readonly string[]) =>
    all.includes('*') || one.every((value) => all.includes(value));
  return (
    within(rule.purposes, earlier.purposes) &&
    within(rule.types, earlier.types) &&
    within(rule.interactions, earlier.interactions)
  );
}
