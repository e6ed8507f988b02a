/** A patch is an update made from the current version: read under lock, opened, changed, and from there on like any other update. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError, parseJson } from '../../core/index.ts';
import { FIELD_CLASSES, isSubsetted } from '../../phi/index.ts';
import { ask } from '../ask.ts';
import { mediaTypeOf } from '../binary.ts';
import { type Exchange, known } from '../exchange.ts';
import { checkedIfMatch, checkedResource } from '../operations.ts';
import { applyPatch, readPatch } from '../patch.ts';
import { requiredVersion } from '../results.ts';
import { disclose } from './disclose.ts';
import { refuseLimited } from './plan-write.ts';
import { readTyped } from './read-body.ts';
import { reauthoriseOne } from './reauthorise.ts';

const PATCH_TYPE = 'application/json-patch+json';

/** FHIR R4 §3.1.0.5. */
export async function readPatchBody(exchange: Exchange): Promise<void> {
  exchange.patch = readPatch(exchange.inBatch ? patchOfEntry(exchange.body) : await patchOfBody(exchange));
}

async function patchOfBody(exchange: Exchange): Promise<Json> {
  const type = mediaTypeOf(exchange.incoming.headers['content-type']);
  if (type === 'application/fhir+json' || type === 'application/json') throw fhirPathPatch();
  return readTyped(exchange, new Set([PATCH_TYPE]));
}

/** In a bundle a JSON Patch is the content of a Binary. */
function patchOfEntry(body: Json | undefined): Json {
  const binary = body as { resourceType?: Json; contentType?: Json; data?: Json } | null | undefined;
  if (binary?.resourceType === 'Parameters') throw fhirPathPatch();
  const { resourceType, contentType, data } = binary ?? {};
  if (resourceType !== 'Binary' || contentType !== PATCH_TYPE || typeof data !== 'string')
    throw new KeywardError('FHIR_PATCH_INVALID', { detail: `An entry holds a patch as a Binary of ${PATCH_TYPE}.` });
  return parseJson(Buffer.from(data, 'base64'));
}

const fhirPathPatch = () =>
  new KeywardError('FHIR_INTERACTION_UNSUPPORTED', { detail: `FHIRPath Patch; send ${PATCH_TYPE}.` });

export function planPatch(exchange: Exchange): void {
  const { route, incoming } = exchange;
  const ifMatch = checkedIfMatch(incoming.headers['if-match']);
  const decision = known(exchange.decision, 'decision');
  const { type, id } = route;
  requireReading(exchange);
  exchange.operations = [{ interaction: 'update', type, id, resource: undefined, fullUrl: '', ifMatch, decision }];
  refuseLimited(exchange.operations);
}

/** `test` tells what a value is, and `copy` puts it elsewhere: who may not read all of a record may not patch it. */
function requireReading({ gateway, principal, route }: Exchange): void {
  const { open, patient } = gateway.policy.decide(known(principal, 'principal'), 'read', route.type);
  if (patient !== undefined || FIELD_CLASSES.some((fieldClass) => !open.has(fieldClass)))
    throw new KeywardError('ACCESS_DENIED');
}

/** The whole record is opened, so the ledger says so, although the caller may be shown nothing of it. */
export async function patchCurrent(exchange: Exchange): Promise<void> {
  const { gateway } = exchange;
  const operation = known(exchange.operations[0], 'operation');
  const { type, id } = operation;
  await exchange.loans.borrow([`${type}/${id}`]);
  exchange.answer = await ask(exchange, { method: 'GET', path: `/${type}/${id}` });
  reauthoriseOne(exchange);
  const ifMatch = `W/"${requiredVersion(known(exchange.findings[0], 'finding').resource)}"`;
  if (operation.ifMatch !== undefined && operation.ifMatch !== ifMatch) throw new KeywardError('FHIR_PRECONDITION');
  await disclose(exchange);
  const opened = known(known(exchange.findings[0], 'finding').opened, 'opened resource');
  if (isSubsetted(opened)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
  const patched = applyPatch(opened, known(exchange.patch, 'patch'), gateway.maxBodyBytes);
  exchange.operations = [{ ...operation, ifMatch, resource: checkedResource(patched, type, id, gateway.catalogue) }];
}
