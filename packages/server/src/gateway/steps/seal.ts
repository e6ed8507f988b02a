/** Step 9: seals what is to be written and puts the upstream request together. */
import type { Json } from '@keyward/sdk/seal';
import type { FhirResource } from '../../phi/index.ts';
import { type Exchange, known, type WriteOperation } from '../exchange.ts';
import { outgoingResource, renamedEntries } from '../operations.ts';
import { sealResources } from '../sealing.ts';
import { TENANT_SCOPE } from '../seal-context.ts';
import { type Beside, scopeFor, scopeToWrite } from '../subjects.ts';
import type { UpstreamRequest } from '../upstream.ts';

const JSON_HEADERS = { 'content-type': 'application/fhir+json', prefer: 'return=representation' };

export async function sealWrite(exchange: Exchange): Promise<void> {
  const [operation] = exchange.operations;
  const { interaction, type, id, ifMatch } = known(operation, 'operation');
  const [resource] = await sealedResources(exchange, new Map());
  const method = ({ create: 'POST', update: 'PUT', delete: 'DELETE' } as const)[interaction];
  const conditional = ifMatch === undefined ? {} : { 'if-match': ifMatch };
  exchange.outgoing = {
    method,
    path: id === '' ? `/${type}` : `/${type}/${id}`,
    headers: { ...(resource ? JSON_HEADERS : {}), ...conditional },
    body: resource && JSON.stringify(resource),
  };
}

export async function sealTransaction(exchange: Exchange): Promise<void> {
  const renamed = renamedEntries(exchange.operations);
  const resources = await sealedResources(exchange, renamed);
  const entry = exchange.operations.map(({ interaction, type, id, fullUrl, ifMatch }, index): Json => {
    const resource = resources[index];
    const method = ({ create: 'POST', update: 'PUT', delete: 'DELETE' } as const)[interaction];
    const name = renamed.get(fullUrl);
    return {
      ...(name?.startsWith('urn:') ? { fullUrl: name } : {}),
      ...(resource ? { resource } : {}),
      request: { method, url: id === '' ? type : `${type}/${id}`, ...(ifMatch === undefined ? {} : { ifMatch }) },
    };
  });
  const bundle = { resourceType: 'Bundle', type: 'transaction', entry };
  exchange.outgoing = {
    method: 'POST',
    path: '/',
    headers: JSON_HEADERS,
    body: JSON.stringify(bundle),
  } satisfies UpstreamRequest;
}

/** Sealed resources by position of their operation; undefined for a delete. */
async function sealedResources(
  exchange: Exchange,
  renamed: ReadonlyMap<string, string>,
): Promise<(FhirResource | undefined)[]> {
  const { gateway, operations } = exchange;
  const prepared = operations.map(
    ({ resource, id }) => resource && outgoingResource(resource, id, gateway.publicBase, renamed),
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
  const own: (string | undefined)[] = operations.map(() => undefined);
  const minted = new Map<string, string>();
  const others = new Set<string>();
  for (const [index, { interaction, type, id, fullUrl }] of operations.entries()) {
    const name = renamed.get(fullUrl) ?? `${type}/${id}`;
    if (type !== 'Patient') others.add(name);
    if (type !== 'Patient' || interaction === 'delete') continue;
    const scope = await scopeToWrite(exchange, id);
    own[index] = scope;
    minted.set(name, scope);
  }
  return { own, beside: { minted, others } };
}
