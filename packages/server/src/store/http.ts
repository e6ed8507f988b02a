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

/** Whatever can fail here fails before anything is sent, so that the caller can send something else instead. */
export function sendReply(response: ServerResponse, reply: Reply, base: string): void {
  response.writeHead(reply.status, headersOf(reply, base)).end(reply.body);
}

function headersOf({ status, body, stored }: Reply, base: string): Record<string, string> {
  return {
    ...(stored && { etag: etag(stored.version), 'last-modified': stored.lastUpdated.toUTCString() }),
    ...(stored && status === 201 && { location: `${base}/${stored.type}/${stored.id}/_history/${stored.version}` }),
    ...(body !== undefined && { 'content-type': 'application/fhir+json; charset=utf-8' }),
  };
}
