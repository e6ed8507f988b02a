/** Opens a sealed Patient with restored keys: its proof and every value, none of which leaves this file. */
import { createEngine, type DataKey, tokenKeyId } from '@keyward/sdk/seal';
import type { KeyService } from '@keyward/sdk/client';
import { KeywardError, newUuid, parseJson } from '../../core/index.ts';
import { contextOf, proofSite } from '../../gateway/index.ts';
import { type Catalogue, type FhirResource, planOpen, proofText, type RootSeal } from '../../phi/index.ts';
import { Bodies } from '../../store/index.ts';
import type { RehearsedKeys } from '../context.ts';

/** A version as the built-in store holds it. */
export interface AtRest {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** base64url */
  readonly body: string;
}

const LIMITS = { maxDepth: 96 };

/** The sealed resource inside. @throws KeywardError `STORE_NOT_AUTHENTIC` | `KEYS_UNKNOWN_KEY` */
export async function openAtRest(
  { tenant, store }: RehearsedKeys,
  { body, ...address }: AtRest,
): Promise<FhirResource> {
  const bodies = new Bodies(store, tenant, newUuid());
  const [text = ''] = await bodies.open([
    { ...address, last_updated: new Date(), body: Buffer.from(body, 'base64url') },
  ]);
  return parseJson(Buffer.from(text), LIMITS) as FhirResource;
}

/** How many values were opened. @throws KeywardError `SEAL_NOT_AUTHENTIC` | `KEYS_UNKNOWN_KEY` */
export async function provePatient(
  { tenant, gateway }: RehearsedKeys,
  patient: FhirResource,
  catalogue: Catalogue,
): Promise<number> {
  const { root, sites } = planOpen(patient, catalogue);
  if (patient.resourceType !== 'Patient' || !root) throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  const proof = { ...proofSite('Patient'), token: root.proof };
  const keyOf = await keysOf(gateway, tenant, root, [proof, ...sites]);
  const [says] = createEngine().openMany(
    [proof, ...sites].map((site) => ({
      key: keyOf(site.token),
      context: contextOf(tenant, 'Patient', root, site),
      token: site.token,
    })),
  );
  if (says !== proofText(root, sites)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
  return sites.length;
}

async function keysOf(
  service: KeyService,
  tenant: string,
  { scope }: RootSeal,
  sites: readonly { readonly token: string }[],
): Promise<(token: string) => DataKey> {
  const ids = [...new Set(sites.map(({ token }) => tokenKeyId(token)))];
  const use = { tenant, subjects: [scope], purpose: 'SYSTEM', correlationId: newUuid() };
  const keys = await service.process(ids, use);
  return (token) => keys[ids.indexOf(tokenKeyId(token))] as DataKey;
}
