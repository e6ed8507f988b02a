/** Hosts of a certificate: DNS names and IP addresses, checked before they are put into one. */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { KeywardError } from '../core/index.ts';

/** RFC 1123 §2.1: letters, digits and inner hyphens. No wildcards: a listener has names of its own. */
const DNS_NAME = /^(?=.{1,253}$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i;

export function requireHosts(hosts: readonly string[]): void {
  const valid = hosts.length > 0 && hosts.every((host) => isIP(host) !== 0 || DNS_NAME.test(host));
  if (!valid) throw new KeywardError('CA_HOST_INVALID');
}

/** Whether a certificate is for these hosts and no others. */
export function isFor(certificate: X509Certificate, hosts: readonly string[]): boolean {
  const named = certificate.subjectAltName?.split(', ') ?? [];
  return named.length === hosts.length && hosts.every((host) => names(certificate, host));
}

function names(certificate: X509Certificate, host: string): boolean {
  if (isIP(host)) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never', wildcards: false }) !== undefined;
}
