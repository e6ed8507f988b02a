/** How the other processes reach the custodian, and how it is reached: over its socket, or over mutual TLS from another host. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CustodianAddress } from '@keyward/sdk/client';
import { readOrCreateSecret } from '../config/index.ts';
import { type DataPaths, KeywardError } from '../core/index.ts';
import type { TlsListener } from '../keys/index.ts';
import type { ProcessContext } from './process.ts';

/** Processes that ask the custodian. */
export const CUSTODIAN_CLIENTS = ['gateway', 'store', 'admin'] as const;
export type CustodianClientName = (typeof CUSTODIAN_CLIENTS)[number];

export const custodianSocket = (paths: DataPaths): string => join(paths.sockets, 'custodian.sock');

type Place = Pick<ProcessContext, 'config' | 'paths'>;

/** @throws KeywardError `CONFIG_UNREADABLE` where a certificate for another host is missing */
export function custodianAddress({ config, paths }: Place, client: CustodianClientName): CustodianAddress {
  const { custodianUrl: url, clientCertificates: folder = paths.clientCertificates } = config.keys;
  if (url === undefined)
    return { socketPath: custodianSocket(paths), credential: readOrCreateSecret(paths, `custodian-${client}`) };
  const pair = readPem(join(folder, `${client}.pem`));
  return { url, tls: { ca: readPem(join(folder, 'ca.pem')), cert: pair, key: pair } };
}

/** The same as origin, options and headers of an HTTP client. */
export function custodianConnection(place: Place, client: CustodianClientName) {
  const address = custodianAddress(place, client);
  const { credential } = address;
  const headers = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
  if ('socketPath' in address)
    return { origin: 'http://custodian.invalid', connect: { socketPath: address.socketPath }, headers };
  return { origin: address.url, connect: { ...address.tls, minVersion: 'TLSv1.3' as const }, headers };
}

/** Where the custodian listens for other hosts; undefined unless it is configured. @throws KeywardError `CONFIG_UNREADABLE` */
export function custodianListener({ config, paths }: Place): TlsListener | undefined {
  const { listen } = config.keys;
  if (!listen) return undefined;
  const { host, port, files } = listen;
  const own = paths.custodianCertificate;
  const { caFile, certFile, keyFile } = files ?? { caFile: paths.caCertificate, certFile: own, keyFile: own };
  return { host, port, tenant: config.tenant, ca: readPem(caFile), cert: readPem(certFile), key: readPem(keyFile) };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const detail =
      'A certificate or key for the connection to the custodian: see keys.listen and keys.clientCertificates.';
    throw new KeywardError('CONFIG_UNREADABLE', { detail, cause });
  }
}
