/** Which process is calling, by the certificate that it showed. */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { type Clock, processUri } from '../../core/index.ts';
import { REMOTE_CALLERS, type RemoteCaller } from '../grants.ts';

/** A verified client: TLS has checked the certificate's chain, dates and purpose when the connection was made. */
interface Client {
  readonly caller: RemoteCaller | undefined;
  readonly validToMs: number;
}

const NOBODY: Client = { caller: undefined, validToMs: 0 };

/** Undefined also for a connection that has outlived its certificate. */
export function createIdentifyCertificate(
  tenant: string,
  clock: Clock,
): (socket: TLSSocket) => RemoteCaller | undefined {
  const clients = new WeakMap<TLSSocket, Client>();
  return (socket) => {
    const client = clients.get(socket) ?? clientOf(socket, tenant);
    clients.set(socket, client);
    return clock.now().getTime() <= client.validToMs ? client.caller : undefined;
  };
}

function clientOf(socket: TLSSocket, tenant: string): Client {
  const certificate = socket.authorized ? socket.getPeerCertificate() : undefined;
  const uri = certificate && onlyUri(certificate);
  const caller = REMOTE_CALLERS.find((each) => processUri(tenant, each) === uri);
  return certificate ? { caller, validToMs: Date.parse(certificate.valid_to) } : NOBODY;
}

const URI = 'URI:';

/**
 * X.509-SVID, section 2: exactly one URI. Node puts names with characters that could be taken for a list in quotes; none of
 * ours needs them.
 */
function onlyUri({ subjectaltname = '' }: PeerCertificate): string | undefined {
  const uris = subjectaltname.split(', ').filter((name) => name.startsWith(URI));
  return uris.length === 1 && !subjectaltname.includes('"') ? uris[0]!.slice(URI.length) : undefined;
}
