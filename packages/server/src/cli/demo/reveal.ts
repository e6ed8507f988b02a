/** One patient three ways: what two roles see through the gateway, and what lies behind it. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { at, textAt } from '../json.ts';
import { bodyOf } from '../refusal.ts';
import type { Role } from '../roles.ts';
import type { Session } from '../session.ts';

export interface Reveal {
  /** `Patient/…` */
  readonly reference: string;
  readonly clinician: Json;
  readonly billing: Json;
  /** What the database holds, as the admin API tells it. */
  readonly database: Json;
}

/** `known` is a patient to show; without one, the gateway is asked for any. */
export async function reveal(session: Session, known: string | undefined): Promise<Reveal> {
  const reference = known ?? (await anyPatient(session));
  const as = async (role: Role) => bodyOf(await session.fhir(role, reference));
  const clinician = await as('clinician');
  const billing = await as('billing');
  const database = bodyOf(await session.admin('admin', `v1/store/at-rest/${reference}`));
  return { reference, clinician, billing, database };
}

async function anyPatient(session: Session): Promise<string> {
  const found = bodyOf(await session.fhir('clinician', 'Patient?_count=1'));
  const id = textAt(at(found, 'entry', 0, 'resource'), 'id');
  if (id === undefined) throw new KeywardError('CLI_NO_PATIENT');
  return `Patient/${id}`;
}
