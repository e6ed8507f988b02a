/** Step 9: seals what is to be written and puts the upstream request together. */
import type { Json } from '@keyward/sdk/seal';
import type { FhirResource } from '../../phi/index.ts';
import { type Exchange, known, type WriteOperation } from '../exchange.ts';
import { type Names, outgoingResource, renamedEntries } from '../operations.ts';
import { sealResources } from '../sealing.ts';
import { TENANT_SCOPE } from '../seal-context.ts';
import { type Beside, borrowUnscoped, scopeFor, scopeToWrite } from '../subjects.ts';
import type { UpstreamRequest } from '../upstream.ts';

const METHOD = { create: 'POST', update: 'PUT', delete: 'DELETE' } as const;
const JSON_HEADERS = { 'content-type': 'application/fhir+json', prefer: 'return=representation' };

export async function sealWrite(exchange: Exchange): Promise<void> {
  const [operation] = exchange.operations;
  const { interaction, type, id, ifMatch, guard, settled } = known(operation, 'operation');
  if (settled) return;
  const [resource] = await sealedResources(exchange, new Map());
  const conditional = {
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    ...(guard === undefined ? {} : { 'if-none-exist': guard }),
  };
  exchange.outgoing = {
    method: METHOD[interaction],
    path: id === '' ? `/${type}` : `/${type}/${id}`,
    headers: { ...(resource ? JSON_HEADERS : {}), ...conditional },
    body: resource && JSON.stringify(resource),
  };
}

export async function sealTransaction(exchange: Exchange): Promise<void> {
  const renamed = renamedEntries(exchange.operations);
  const resources = await sealedResources(exchange, renamed);
  const entry = exchange.operations.flatMap((operation, index): Json[] => {
    const { interaction, type, id, fullUrl, ifMatch, guard, settled } = operation;
    if (settled) return [];
    const resource = resources[index];
    const name = renamed.get(fullUrl);
    const request = {
      method: METHOD[interaction],
      url: id === '' ? type : `${type}/${id}`,
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(guard === undefined ? {} : { ifNoneExist: guard }),
    };
    return [{ ...(name?.startsWith('urn:') ? { fullUrl: name } : {}), ...(resource ? { resource } : {}), request }];
  });
  const bundle = { resourceType: 'Bundle', type: 'transaction', entry };
  exchange.outgoing = {
    method: 'POST',
    path: '/',
    headers: JSON_HEADERS,
    body: JSON.stringify(bundle),
  } satisfies UpstreamRequest;
}

/** Sealed resources by position of their operation; undefined where there is none to send. */
async function sealedResources(
  exchange: Exchange,
  renamed: ReadonlyMap<string, string>,
): Promise<(FhirResource | undefined)[]> {
  const { gateway, operations, references } = exchange;
  const names: Names = { references, renamed };
  const prepared = operations.map(({ resource, id, settled }) =>
    settled ? undefined : resource && outgoingResource(resource, id, gateway.publicBase, names),
  );
  const { own, beside } = await mintScopes(exchange, renamed);
  const items: { resource: FhirResource; scope: string }[] = [];
  for (const [index, resource] of prepared.entries()) {
    if (!resource) continue;
    const operation = operations[index] as WriteOperation;
    operation.scope = own[index] ?? (await scopeFor(exchange, resource, beside));
    if (operation.scope !== TENANT_SCOPE) exchange.subjects.add(operation.scope);
    items.push({ resource, scope: operation.scope });
  }
  const sealed = await sealResources(exchange, items);
  let next = 0;
  return prepared.map((resource) => resource && sealed[next++]);
}

/** The scope of every Patient this request writes, by position: a new one, or the one it already has. */
async function mintScopes(
  exchange: Exchange,
  renamed: ReadonlyMap<string, string>,
): Promise<{ own: (string | undefined)[]; beside: Beside }> {
  const { operations } = exchange;
  await borrowUnscoped(
    exchange,
    operations.flatMap((operation) => (writesPatient(operation) ? [operation.id] : [])),
  );
  const own: (string | undefined)[] = operations.map(() => undefined);
  const minted = new Map<string, string>();
  const others = new Set<string>();
  for (const [index, operation] of operations.entries()) {
    const { type, id, fullUrl } = operation;
    const name = renamed.get(fullUrl) ?? `${type}/${id}`;
    if (type !== 'Patient') others.add(name);
    if (!writesPatient(operation)) continue;
    const scope = await scopeToWrite(exchange, id);
    own[index] = scope;
    minted.set(name, scope);
  }
  return { own, beside: { minted, others } };
}

const writesPatient = ({ interaction, type, settled }: WriteOperation): boolean =>
  type === 'Patient' && interaction !== 'delete' && !settled;
