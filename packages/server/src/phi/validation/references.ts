/** What a reference points at, as far as its text tells. */
import { isResourceType } from '../structure.ts';

const POINTS_AT = /(?:^|\/)([A-Z][A-Za-z]+)(?:\?|\/[A-Za-z0-9.-]{1,64}(?:\/_history\/[A-Za-z0-9.-]{1,64})?$)/;

/** The resource type in `Patient/1`, in the same below a server's address, and in `Patient?identifier=…`. */
export function typeInReference(reference: string): string | undefined {
  const type = POINTS_AT.exec(reference)?.[1];
  return type !== undefined && isResourceType(type) ? type : undefined;
}
