/** The addresses Keyward will listen on, tried before anything is started. */
import { createServer, type Server } from 'node:net';
import { KeywardError } from '../core/index.ts';

/** @throws KeywardError `UP_PORT_TAKEN` | `UP_ADDRESS_REFUSED`. */
export async function requireFree(addresses: readonly Address[]): Promise<void> {
  const probes: Server[] = [];
  try {
    // All are held until the last is had, so that one port for both is noticed too.
    for (const address of addresses) probes.push(await listen(address));
  } finally {
    for (const probe of probes) probe.close();
  }
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What the system says when it does not give us an address; anything else means that somebody has it. */
const REFUSALS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host',
};

function listen({ host, port }: Address): Promise<Server> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      const refusal = REFUSALS[cause.code ?? ''];
      const detail = `Port ${port} on ${host}${refusal === undefined ? '' : `: ${refusal}`}.`;
      reject(new KeywardError(refusal === undefined ? 'UP_PORT_TAKEN' : 'UP_ADDRESS_REFUSED', { detail, cause }));
    });
    probe.listen(port, host, () => resolve(probe));
  });
}
