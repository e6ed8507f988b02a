/** Issues certificates: the CA's own and those of servers. ECDSA on P-256 with SHA-256 throughout. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { AUTHORITY_NAME, type Validity } from './profiles.ts';
import { loadX509 } from './x509.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A private key as PKCS #8 PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: ALGORITHM.namedCurve });
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}

/** A self-signed certificate that may sign server certificates, and no further CA. */
export async function issueAuthorityCertificate(authorityKey: string, validity: Validity): Promise<string> {
  const x509 = await loadX509();
  const keys = { privateKey: signingKey(authorityKey), publicKey: verifyingKey(authorityKey) };
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [AUTHORITY_NAME] }],
    keys,
    ...validity,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate);
}

/** A certificate for TLS servers that are reached under `hosts` (DNS names and IP addresses). */
export async function issueServerCertificate(
  authorityKey: string,
  serverKey: string,
  hosts: readonly string[],
  validity: Validity,
): Promise<string> {
  const x509 = await loadX509();
  const publicKey = verifyingKey(serverKey);
  const certificate = await x509.X509CertificateGenerator.create({
    issuer: [{ CN: [AUTHORITY_NAME] }],
    subject: [{ CN: hosts.slice(0, 1) }],
    publicKey,
    signingKey: signingKey(authorityKey),
    ...validity,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hosts.map((host) => ({ type: isIP(host) ? 'ip' : 'dns', value: host }))),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(verifyingKey(authorityKey)),
    ],
  });
  return pem(certificate);
}

function signingKey(privateKeyPem: string): webcrypto.CryptoKey {
  return createPrivateKey(privateKeyPem).toCryptoKey(ALGORITHM, false, ['sign']);
}

function verifyingKey(privateKeyPem: string): webcrypto.CryptoKey {
  return createPublicKey(privateKeyPem).toCryptoKey(ALGORITHM, true, ['verify']);
}

const pem = (certificate: { toString(format: 'pem'): string }): string => `${certificate.toString('pem')}\n`;
