/** An export as a client runs it: kick-off, manifest, files; the lines of a file are counted while they come, never gathered. */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { textOf } from './attacker.ts';
import type { Answer, Call, Product, TokenChoice } from './product.ts';

export interface Output {
  readonly type: string;
  readonly url: string;
}

export interface Line {
  readonly resourceType: string;
  readonly id: string;
  readonly [member: string]: unknown;
}

const READ_AND_SEARCH = 'system/*.rs';
export const exporter = (product: Product, choice: TokenChoice): Promise<string> =>
  product.token({ scope: READ_AND_SEARCH, ...choice });

export const kickOff = (product: Product, call: Call): Promise<Answer> =>
  product.fhir({ ...call, headers: { prefer: 'respond-async', ...call.headers } });

/** Path of one of our links below the FHIR base. */
export const pathOf = (product: Product, url: string): string => {
  assert.ok(url.startsWith(`${product.base}/`), 'a link leads elsewhere');
  return url.slice(product.base.length);
};

export const statusPath = (product: Product, { status, headers }: Answer): string => {
  assert.equal(status, 202);
  return pathOf(product, String(headers['content-location']));
};

/** From kick-off to manifest. */
export async function outputs(product: Product, path: string, token: string): Promise<Output[]> {
  const manifest = await product.fhir({
    path: statusPath(product, await kickOff(product, { path, token })),
    token,
  });
  assert.equal(manifest.status, 200, JSON.stringify(manifest.body));
  const output = manifest.body['output'] as unknown as Output[];
  return output.toSorted((left, right) => left.type.localeCompare(right.type));
}

/** The answer to a request for one file, before any of its lines was read. */
export function openFile(product: Product, url: string, token: string): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/fhir+ndjson' };
  return new Promise((resolve, reject) => {
    request(`${product.base}${pathOf(product, url)}`, { ca: product.ca, headers, agent: false }, resolve)
      .once('error', reject)
      .end();
  });
}

/** Lines as they come. Rejects when the answer does not come to its end. */
export async function readLines(answer: IncomingMessage, each: (line: Line) => void): Promise<void> {
  const broken = new Promise<never>((_resolve, reject) => {
    answer.once('error', reject).once('close', () => {
      if (!answer.complete) reject(new Error('the file broke off'));
    });
  });
  broken.catch(() => undefined);
  // Whole lines only: what stands behind the last line break may be half a resource.
  const lines = createInterface({ input: answer });
  lines.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => lines.once('close', resolve));
  lines.on('line', (line) => each(JSON.parse(line) as Line));
  await Promise.race([ended.then(() => (answer.complete ? undefined : broken)), broken]);
}

/** All resources of one file. */
export async function resourcesOf(product: Product, { url }: Output, token: string): Promise<Line[]> {
  const answer = await openFile(product, url, token);
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['content-type'], 'application/fhir+ndjson');
  const found: Line[] = [];
  await readLines(answer, (line) => void found.push(line));
  return found;
}

/** A transaction that creates resources, and the ids they got, in their order. */
export async function createAll(
  product: Product,
  token: string,
  resources: readonly { readonly resourceType: string; readonly [member: string]: unknown }[],
): Promise<string[]> {
  const entry = resources.map((resource) => ({ resource, request: { method: 'POST', url: resource.resourceType } }));
  const json = { resourceType: 'Bundle', type: 'transaction', entry };
  const { status, body } = await product.fhir({ path: '', token, json });
  assert.equal(status, 200, JSON.stringify(body));
  const answers = body['entry'] as unknown as { response: { location: string } }[];
  return answers.map(({ response }) => textOf(/\/([^/]+)\/_history\//.exec(response.location)?.[1] as never));
}

export const observationOf = (patient: string, number: number) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4', display: 'Heart rate' }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: '2026-01-02',
  valueQuantity: { value: number, unit: '/min' },
  note: [{ text: `Noted with care, number ${number}` }],
});
