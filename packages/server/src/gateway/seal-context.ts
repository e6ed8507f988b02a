/** What tokens of a request are bound to, and which key is for which scope. */
import type { KeySpec } from '@keyward/sdk/client';
import type { FieldContext } from '@keyward/sdk/seal';
import type { RootSeal } from '../phi/index.ts';

/** Scope of what belongs to no patient, or to several. */
export const TENANT_SCOPE = 'tenant';

/** Where the proof of a record's root stands; see RootSeal. */
export const proofSite = (type: string) => ({ path: type, datatype: 'root', fieldClass: 'root' }) as const;

export const protectSpec = (scope: string): KeySpec =>
  scope === TENANT_SCOPE ? { kind: 'tenant' } : { kind: 'subject', subject: scope };

/** @param type resource type of the record, also for what it contains */
export function contextOf(
  tenant: string,
  type: string,
  { scope, objectId }: Pick<RootSeal, 'scope' | 'objectId'>,
  { path, datatype, fieldClass }: Pick<FieldContext, 'path' | 'datatype' | 'fieldClass'>,
): FieldContext {
  return { tenant, scope, objectType: type, objectId, path, datatype, fieldClass };
}
