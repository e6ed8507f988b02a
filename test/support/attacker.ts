/** What an attacker has: raw TLS sockets, tokens of any shape signed with a real key, and eyes for what came of it. */
import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Answer, Body, Call, Product } from './product.ts';

/** Longest an attack on a raw socket waits for an answer. */
const PATIENCE_MS = 5_000;

/** A verified TLS connection to the gateway. Rejects when the handshake fails. */
export function openSocket(product: Product, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: 'localhost', servername: 'localhost', port: product.gatewayPort, ca: product.ca, ...options },
      () => resolve(socket),
    );
    // After the handshake a reset is an answer like any other.
    socket.once('error', reject).on('error', () => undefined);
  });
}

/** Everything the gateway says to these bytes until it closes or falls silent. */
export async function say(product: Product, bytes: string | Buffer): Promise<string> {
  const socket = await openSocket(product);
  socket.write(bytes);
  return heard(socket, PATIENCE_MS);
}

/** What comes in until the other side closes; after `patienceMs` we close. */
export function heard(socket: TLSSocket, patienceMs: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

/** Status of each response in what was heard. */
export const statuses = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

const encode = (part: unknown): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** A token as the development issuer would sign it, with whatever header and claims an attacker likes. */
export function forge(
  product: Product,
  header: object,
  claims: object | string,
  signWith: (text: string) => Buffer = (text) => sign(null, Buffer.from(text), issuerKey(product)),
): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${signWith(text).toString('base64url')}`;
}

export const issuerKey = ({ paths }: Product) =>
  createPrivateKey(readFileSync(join(paths.secrets, 'development-issuer.pem')));

/** A member of an answer that must be a text. */
export const textOf = (member: Body | undefined): string => member as unknown as string;

/** The HTTP status of an answer, and the code of its OperationOutcome. */
export const refusalOf = ({ status, body }: { status: number; body: Body }): string =>
  `${status} ${textOf(body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code'])}`;

/** Asserts that a call is refused so, in one OperationOutcome with all our headers, and that the ledger holds the denial under the same code. */
export async function assertRefused(product: Product, call: Call, refusal: string, what: string): Promise<Answer> {
  const answer = await product.fhir(call);
  assert.equal(refusalOf(answer), refusal, what);
  assert.equal(answer.body['resourceType'], 'OperationOutcome', what);
  assert.match(String(answer.headers['cache-control']), /no-store/, what);
  const entries = await product.ledger(`&correlationId=${String(answer.headers['x-correlation-id'])}`);
  const last = entries.at(-1);
  assert.deepEqual([last?.['class'], last?.['event']?.['decision']], ['denial', 'deny'], what);
  assert.equal(last?.['event']?.['code'], refusal.slice(4), what);
  return answer;
}

/** How many records of these types there are. */
export async function countsOf(product: Product, types: readonly string[]): Promise<Body[]> {
  const answers = await Promise.all(
    types.map((type) => product.fhir({ path: `/${type}?_total=accurate&_count=0`, role: 'clinician' })),
  );
  return answers.map(({ body }) => {
    assert.equal(typeof body['total'], 'number');
    return body['total'] as Body;
  });
}
