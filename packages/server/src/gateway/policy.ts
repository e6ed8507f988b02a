/** The access policy: one YAML table, compiled once; answers who may do what and which classes are opened. */
import { z } from 'zod';
import { parse as parseYaml } from 'yaml';
import { readFileSync } from 'node:fs';
import { KeywardError } from '../core/index.ts';
import type { Principal } from '../identity/index.ts';
import { FIELD_CLASSES, type FieldClass, isResourceType } from '../phi/index.ts';
import { scopeGrant } from './scopes.ts';

export const POLICY_INTERACTIONS = ['read', 'vread', 'history', 'search', 'create', 'update', 'delete'] as const;
export type PolicyInteraction = (typeof POLICY_INTERACTIONS)[number];

const classList = z.array(z.enum(['*', ...FIELD_CLASSES]));
const ruleSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  purposes: z.array(z.string().regex(/^[A-Z]+$/)).min(1),
  types: z.array(z.string().refine((type) => type === '*' || isResourceType(type), 'not a resource type')).min(1),
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
}

type Rule = z.infer<typeof ruleSchema>;

/** @throws KeywardError `CONFIG_INVALID`, also for a rule that may write what it cannot see whole. */
export function loadPolicy(file: string | URL): AccessPolicy {
  const parsed = policySchema.safeParse(parseYaml(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new KeywardError('CONFIG_INVALID', { detail: 'The access policy is not valid.', cause: parsed.error });
  const { roles, version } = parsed.data;
  for (const { rules } of Object.values(roles)) for (const rule of rules) refusePartialWriter(rule);
  return {
    version: String(version),
    decide(principal, interaction, type) {
      const role = Object.hasOwn(roles, principal.role) ? roles[principal.role] : undefined;
      if (role?.mfa && !principal.mfa) throw new KeywardError('IDENTITY_MFA_REQUIRED');
      const rule = role?.rules.find((candidate) => permits(candidate, principal, interaction, type));
      if (!rule) throw new KeywardError('ACCESS_DENIED');
      const grant = scopeGrant(principal.scopes, interaction, type);
      if (grant === 'none') throw new KeywardError('ACCESS_SCOPE');
      const limited = rule.compartment === 'patient' || grant === 'patient';
      // Without a patient in context a limited rule opens nobody's record, never everybody's.
      if (limited && !principal.patient) throw new KeywardError('ACCESS_SCOPE');
      return {
        rule: rule.id,
        open: classes(rule.open),
        mask: classes(rule.mask),
        patient: limited ? principal.patient : undefined,
      };
    },
  };
}

export const DEFAULT_POLICY = new URL('./policy.yaml', import.meta.url);

function permits(rule: Rule, principal: Principal, interaction: PolicyInteraction, type: string): boolean {
  return (
    (rule.types.includes('*') || rule.types.includes(type)) &&
    rule.interactions.includes(interaction) &&
    principal.purpose !== undefined &&
    rule.purposes.includes(principal.purpose)
  );
}

const classes = (list: Rule['open']): ReadonlySet<FieldClass> =>
  new Set(list.includes('*') ? FIELD_CLASSES : (list as FieldClass[]));

function refusePartialWriter({ id, interactions, open }: Rule): void {
  if (interactions.includes('update') && !open.includes('*')) {
    throw new KeywardError('CONFIG_INVALID', {
      detail: `Rule ${id} may update but does not open every class, so a write-back could erase data.`,
    });
  }
}
