/** Step 7 of a write: what would be written is valid R4 and satisfies the profiles that apply to it; still plaintext, nothing has been sent. */
import { type ErrorCode, KeywardError } from '../../core/index.ts';
import {
  describeViolations,
  type FhirResource,
  MAX_VIOLATIONS,
  type TypeOfName,
  validateResource,
  type Violation,
} from '../../phi/index.ts';
import type { Exchange, WriteOperation } from '../exchange.ts';

export function validate({ gateway, operations, route }: Exchange): void {
  const typeOfName = namesIn(operations);
  const isBundle = route.name === 'bundle';
  refuse('FHIR_RESOURCE_INVALID', operations, isBundle, (resource) => validateResource(resource, typeOfName));
  refuse('FHIR_PROFILE_VIOLATED', operations, isBundle, (resource) => gateway.profiles.check(resource, typeOfName));
}

/** Entries of a transaction refer to each other by the names it gives them. */
function namesIn(operations: readonly WriteOperation[]): TypeOfName {
  const named = operations.filter(({ fullUrl }) => fullUrl !== '');
  const types = new Map(named.map(({ fullUrl, type }) => [fullUrl, type]));
  return (name) => types.get(name);
}

/** Tells the violations of as many entries as there is room for. */
function refuse(
  code: ErrorCode,
  operations: readonly WriteOperation[],
  isBundle: boolean,
  violationsOf: (resource: FhirResource) => readonly Violation[],
): void {
  const texts: string[] = [];
  let count = 0;
  for (const [position, { resource }] of operations.entries()) {
    if (!resource || count >= MAX_VIOLATIONS) continue;
    const violations = violationsOf(resource).slice(0, MAX_VIOLATIONS - count);
    if (violations.length === 0) continue;
    count += violations.length;
    texts.push(`${isBundle ? `Entry ${position}: ` : ''}${describeViolations(violations)}`);
  }
  if (texts.length > 0) throw new KeywardError(code, { detail: texts.join(' ') });
}
