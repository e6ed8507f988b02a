/** HTTP at the store's socket: bodies in, replies out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { KeywardError } from '../core/index.ts';
import type { Reply } from './interactions.ts';

/** Largest body read; the gateway in front has its own, lower limit, and sealing makes bodies larger. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

export const etag = (version: number): string => `W/"${version}"`;

/** @throws KeywardError `GATEWAY_BODY_TOO_LARGE` */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BODY_BYTES) throw new KeywardError('GATEWAY_BODY_TOO_LARGE');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function sendReply(response: ServerResponse, { status, body, stored }: Reply, base: string): void {
  if (stored) {
    response.setHeader('etag', etag(stored.version));
    response.setHeader('last-modified', stored.lastUpdated.toUTCString());
    if (status === 201)
      response.setHeader('location', `${base}/${stored.type}/${stored.id}/_history/${stored.version}`);
  }
  response.statusCode = status;
  if (body === undefined) return void response.end();
  response.setHeader('content-type', 'application/fhir+json; charset=utf-8');
  response.end(JSON.stringify(body));
}
