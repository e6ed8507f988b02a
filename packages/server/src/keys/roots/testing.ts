/** What the tests of roots share: a line to a server on this machine that can be cut and can fall silent. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Line } from './conformance.ts';

export interface TestLine extends Required<Line> {
  /** Where the line begins. */
  readonly port: number;
  close(): Promise<void>;
}

/** Passes bytes to a port of 127.0.0.1. */
export async function startLine(serverPort: number): Promise<TestLine> {
  const sockets = new Set<Socket>();
  let silent = false;
  const accept = (client: Socket) => {
    const server = connect(serverPort, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => silent || to.write(bytes));
      from
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
    }
  };
  const hangUp = () => {
    for (const socket of sockets) socket.destroy();
  };
  let listener = await listen(accept, 0);
  const port = portOf(listener);
  const close = async () => {
    hangUp();
    if (listener.listening) await new Promise((resolve) => listener.close(resolve));
  };
  return {
    port,
    stall: () => void (silent = true),
    cut: close,
    async mend() {
      silent = false;
      hangUp();
      if (!listener.listening) listener = await listen(accept, port);
    },
    close,
  };
}

function listen(accept: (client: Socket) => void, port: number): Promise<Server> {
  const server = createServer(accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('it does not listen');
  return address.port;
}

/** A port of this machine that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = await listen(() => undefined, 0);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
