/** For tests of cloud roots: a door in front of a backend on this machine, which can answer in its place. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface DoorAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Door {
  readonly port: number;
  /** Answers what the function answers for; the rest goes to the backend. Each request is told as its target and body. */
  answer(how: (target: string, body: string) => DoorAnswer | undefined): void;
  close(): Promise<void>;
}

export async function startDoor(backendPort: number): Promise<Door> {
  let answerTo: Parameters<Door['answer']>[0] = () => undefined;
  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing));
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const target = String(incoming.headers['x-amz-target'] ?? incoming.url);
    const answer = answerTo(target, body.toString('utf8'));
    if (!answer) return pass(backendPort, incoming, body, outgoing);
    outgoing.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    outgoing.end(JSON.stringify(answer.body));
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    answer: (how) => void (answerTo = how),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(port: number, { method, url, headers }: IncomingMessage, body: Buffer, outgoing: ServerResponse): void {
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  onward.end(body);
}
