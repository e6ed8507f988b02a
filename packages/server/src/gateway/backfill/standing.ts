/** How a record that came from the upstream stands: sealed by us, in plaintext, or of a type that needs no seal. */
import { asKeywardError } from '../../core/index.ts';
import { type Catalogue, type FhirResource, holdsUnsealed, planOpen, planSeal } from '../../phi/index.ts';

/** `flawed` cannot be sealed or opened as it is; `code` says why. */
export type Standing =
  | { readonly kind: 'sealed' | 'plain' | 'clear' }
  | { readonly kind: 'flawed'; readonly code: string };

export function standingOf(resource: FhirResource, catalogue: Catalogue): Standing {
  try {
    if (planOpen(resource, catalogue).root !== undefined) return { kind: 'sealed' };
    if (!holdsUnsealed(resource, catalogue)) return { kind: 'clear' };
    planSeal(resource, catalogue);
    return { kind: 'plain' };
  } catch (thrown) {
    return { kind: 'flawed', code: asKeywardError(thrown).code };
  }
}
