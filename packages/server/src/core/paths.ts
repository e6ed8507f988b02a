/** Where everything lies in the data directory, and under which mode. */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface DataPaths {
  readonly root: string;
  /** PEM certificate of the CA, public. */
  readonly caCertificate: string;
  /** CA and server private keys, 0700. */
  readonly ca: string;
  /** Root key of the custodian, 0700: apart from the databases. */
  readonly rootKeyDir: string;
  /** Private key and certificate of the custodian's TLS listener. */
  readonly custodianCertificate: string;
  /** What processes show to a custodian on another host: a private key with its certificate each, and the CA's certificate, 0700. */
  readonly clientCertificates: string;
  /** What the custodian remembers apart from its database, 0700. */
  readonly custodian: string;
  /** Sealed backups of the key hierarchy, 0700. */
  readonly backups: string;
  /** Process credentials and database passwords, one file each, 0700. */
  readonly secrets: string;
  /** The embedded PostgreSQL cluster. */
  readonly postgres: string;
  readonly logs: string;
  /** State of the running instance (pids, ports). */
  readonly run: string;
  /** Unix sockets, 0700; outside the data directory when its path is too long for a socket address. */
  readonly sockets: string;
}

/** Longest path of a Unix socket on the platforms we run on (sun_path is 104 bytes on macOS). */
const SOCKET_PATH_MAX_BYTES = 103;

export function dataPaths(dataDir: string): DataPaths {
  const root = resolve(dataDir);
  const inside = join(root, 'run', 'sockets');
  const fits = Buffer.byteLength(join(inside, 'custodian.sock')) <= SOCKET_PATH_MAX_BYTES;
  const shortName = createHash('sha256').update(root).digest('hex').slice(0, 16);
  return {
    root,
    caCertificate: join(root, 'ca.pem'),
    ca: join(root, 'ca'),
    rootKeyDir: join(root, 'root'),
    custodianCertificate: join(root, 'ca', 'custodian.pem'),
    clientCertificates: join(root, 'ca', 'clients'),
    custodian: join(root, 'custodian'),
    backups: join(root, 'backups'),
    secrets: join(root, 'secrets'),
    postgres: join(root, 'postgres'),
    logs: join(root, 'logs'),
    run: join(root, 'run'),
    sockets: fits ? inside : join(tmpdir(), `keyward-${shortName}`),
  };
}
