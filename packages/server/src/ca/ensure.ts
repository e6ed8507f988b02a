/** Sees to it that there is a CA and a server certificate of it that is good for a while; safe to call at every start, and by several processes. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, type DataPaths, KeywardError, processUri } from '../core/index.ts';
import {
  createFileOnce,
  makePrivateFolder,
  PRIVATE_MODE,
  PUBLIC_MODE,
  readIfThere,
  readPrivateIfThere,
  replaceFile,
} from './files.ts';
import { isFor, requireHosts } from './hosts.ts';
import { issueAuthorityCertificate, issueLeafCertificate, newPrivateKey } from './issue.ts';
import { isFresh, type Leaf, LIFETIME_MS, LOCAL_HOSTS, validityFrom } from './profiles.ts';

/** All three as PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly privateKey: string;
  readonly caCertificate: string;
}

export interface ServerCertificateRequest {
  readonly paths: DataPaths;
  readonly clock: Clock;
  /** DNS names and IP addresses of the listeners; the local ones when left out. */
  readonly hosts?: readonly string[];
}

/** @throws KeywardError `CA_KEY_UNUSABLE` | `CA_HOST_INVALID` */
export async function ensureServerCertificate(request: ServerCertificateRequest): Promise<ServerCertificate> {
  const { paths, clock, hosts = LOCAL_HOSTS } = request;
  requireHosts(hosts);
  await makePrivateFolder(paths.ca);
  const now = clock.now();
  const authority = await ensureAuthority(paths, now);
  const pair = await ensureLeaf(join(paths.ca, 'server.pem'), authority, { hosts }, now);
  return { ...pair, caCertificate: authority.certificate };
}

export interface CustodianCertificatesRequest extends ServerCertificateRequest {
  readonly tenant: string;
  /** Processes that ask the custodian, each to have a certificate that names it. */
  readonly clients: readonly string[];
}

/**
 * For a custodian that is reached from other hosts: its own certificate, and in one folder what each host with such a process
 * needs of it. @throws KeywardError `CA_KEY_UNUSABLE` | `CA_HOST_INVALID`
 */
export async function ensureCustodianCertificates(request: CustodianCertificatesRequest): Promise<void> {
  const { paths, clock, tenant, clients, hosts = LOCAL_HOSTS } = request;
  requireHosts(hosts);
  await makePrivateFolder(paths.ca);
  await makePrivateFolder(paths.clientCertificates);
  const now = clock.now();
  const authority = await ensureAuthority(paths, now);
  await ensureLeaf(paths.custodianCertificate, authority, { hosts }, now);
  for (const processName of clients) {
    const file = join(paths.clientCertificates, `${processName}.pem`);
    await ensureLeaf(file, authority, { uri: processUri(tenant, processName), processName }, now);
  }
  await replaceFile(join(paths.clientCertificates, 'ca.pem'), authority.certificate, PUBLIC_MODE);
}

/** What lies in the file, or a new pair where that is not, or will soon not be, good. */
async function ensureLeaf(file: string, authority: Authority, leaf: Leaf, now: Date): Promise<Pair> {
  const kept = await readPrivateIfThere(file);
  const pair = kept === undefined ? undefined : splitPair(kept);
  if (pair && isLeafUsable(pair, authority.key, leaf, now)) return pair;
  const privateKey = newPrivateKey();
  const validity = validityFrom(now, LIFETIME_MS.leaf);
  const certificate = await issueLeafCertificate(authority.key, privateKey, leaf, validity);
  // One file, so that no crash can leave a certificate beside another one's key.
  await replaceFile(file, privateKey + certificate, PRIVATE_MODE);
  return { certificate, privateKey };
}

interface Authority {
  readonly key: string;
  readonly certificate: string;
}

/** The key makes the CA; its certificate is renewed under the same key, so that clients which pinned the older one still verify. */
async function ensureAuthority(paths: DataPaths, now: Date): Promise<Authority> {
  const key = await ensureAuthorityKey(join(paths.ca, 'ca.key'));
  const kept = await readIfThere(paths.caCertificate);
  if (kept !== undefined && isAuthorityUsable(kept, key, now)) return { key, certificate: kept };
  const certificate = await issueAuthorityCertificate(key, validityFrom(now, LIFETIME_MS.authority));
  await replaceFile(paths.caCertificate, certificate, PUBLIC_MODE);
  return { key, certificate };
}

async function ensureAuthorityKey(file: string): Promise<string> {
  const kept = await readPrivateIfThere(file);
  if (kept === undefined) await createFileOnce(file, newPrivateKey(), PRIVATE_MODE);
  const key = kept ?? (await readPrivateIfThere(file));
  if (key === undefined || !isPrivateKey(key)) throw new KeywardError('CA_KEY_UNUSABLE');
  return key;
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

function isAuthorityUsable(pem: string, key: string, now: Date): boolean {
  const certificate = parse(pem);
  return (
    certificate !== undefined &&
    certificate.ca &&
    isSignedBy(certificate, publicKeyOf(key)) &&
    isValid(certificate, key, now)
  );
}

function isLeafUsable(pair: Pair, authorityKey: string, leaf: Leaf, now: Date): boolean {
  const certificate = parse(pair.certificate);
  if (!certificate || !isPrivateKey(pair.privateKey)) return false;
  return (
    isSignedBy(certificate, publicKeyOf(authorityKey)) &&
    ('uri' in leaf ? certificate.subjectAltName === `URI:${leaf.uri}` : isFor(certificate, leaf.hosts)) &&
    isValid(certificate, pair.privateKey, now)
  );
}

/** Belongs to this private key and is not due for renewal. */
function isValid(certificate: X509Certificate, privateKey: string, now: Date): boolean {
  const validity = { notBefore: certificate.validFromDate, notAfter: certificate.validToDate };
  return certificate.checkPrivateKey(createPrivateKey(privateKey)) && isFresh(validity, now);
}

const publicKeyOf = (privateKey: string): KeyObject => createPublicKey(privateKey);

const isSignedBy = (certificate: X509Certificate, issuer: KeyObject): boolean => certificate.verify(issuer);

/** A file that is not a certificate is replaced like one that has expired. */
function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

interface Pair {
  readonly privateKey: string;
  readonly certificate: string;
}

const CERTIFICATE_START = '-----BEGIN CERTIFICATE-----';

function splitPair(text: string): Pair | undefined {
  const start = text.indexOf(CERTIFICATE_START);
  return start < 0 ? undefined : { privateKey: text.slice(0, start), certificate: text.slice(start) };
}
