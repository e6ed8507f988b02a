/** SMART on FHIR scopes (v2 grammar, v1 mapped): what the token itself was granted. */
import type { PolicyInteraction } from './policy.ts';

/** SMART App Launch 2.2, "Scopes for requesting FHIR Resources". */
const LETTER: Record<PolicyInteraction, string> = {
  create: 'c',
  read: 'r',
  vread: 'r',
  history: 'r',
  update: 'u',
  delete: 'd',
  search: 's',
};

const V1: Record<string, string> = { read: 'rs', write: 'cud', '*': 'cruds' };

/** A scope with search parameters (`?…`) narrows in a way we do not enforce yet, so it grants nothing. */
const GRAMMAR = /^(patient|user|system)\/([A-Z][A-Za-z]+|\*)\.(c?r?u?d?s?|read|write|\*)$/;

/** `user` when a user or system scope permits it, `patient` when only a patient scope does. */
export function scopeGrant(
  scopes: readonly string[],
  interaction: PolicyInteraction,
  type: string,
): 'user' | 'patient' | 'none' {
  let grant: 'patient' | 'none' = 'none';
  for (const scope of scopes) {
    const [, level, scopeType, access = ''] = GRAMMAR.exec(scope) ?? [];
    if (scopeType !== '*' && scopeType !== type) continue;
    if (!(V1[access] ?? access).includes(LETTER[interaction])) continue;
    if (level !== 'patient') return 'user';
    grant = 'patient';
  }
  return grant;
}
