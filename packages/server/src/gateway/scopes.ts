/** SMART on FHIR scopes (v2 grammar, v1 mapped): what the token itself was granted. */
import type { PolicyInteraction } from './policy.ts';

/** SMART App Launch 2.2, "Scopes for requesting FHIR Resources"; an export reads and searches (SMART Backend Services). */
const LETTERS: Record<PolicyInteraction, string> = {
  create: 'c',
  read: 'r',
  vread: 'r',
  history: 'r',
  update: 'u',
  delete: 'd',
  search: 's',
  export: 'rs',
  backfill: 'ru',
  scope: 'r',
};

const V1: Record<string, string> = { read: 'rs', write: 'cud', '*': 'cruds' };

/** Types of FHIR, and objects of JSON APIs (`crm:Member`). A scope with search parameters (`?…`) narrows in a way we do not enforce yet, so it grants nothing. */
const GRAMMAR =
  /^(patient|user|system)\/([A-Z][A-Za-z]+|[a-z][a-z0-9-]*:[A-Za-z][A-Za-z0-9_.-]*|\*)\.(c?r?u?d?s?|read|write|\*)$/;

/** `user` when user or system scopes permit it, `patient` when only patient scopes do. Nobody exports but with system scopes. */
export function scopeGrant(
  scopes: readonly string[],
  interaction: PolicyInteraction,
  type: string,
): 'user' | 'patient' | 'none' {
  const granted = { patient: '', user: '', system: '' };
  for (const scope of scopes) {
    const [, level, scopeType, access = ''] = GRAMMAR.exec(scope) ?? [];
    if (scopeType === '*' || scopeType === type) granted[level as keyof typeof granted] += V1[access] ?? access;
  }
  const suffices = (letters: string) => LETTERS[interaction].split('').every((letter) => letters.includes(letter));
  if (interaction === 'export') return suffices(granted.system) ? 'user' : 'none';
  if (suffices(granted.user) || suffices(granted.system)) return 'user';
  return suffices(granted.patient) ? 'patient' : 'none';
}
