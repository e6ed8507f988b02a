/** Issues certificates: the CA's own, those of servers and those of our processes. ECDSA on P-256 with SHA-256 throughout. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { AUTHORITY_NAME, type Leaf, type Validity } from './profiles.ts';
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

/** A certificate for one end of a TLS connection. */
export async function issueLeafCertificate(
  authorityKey: string,
  leafKey: string,
  leaf: Leaf,
  validity: Validity,
): Promise<string> {
  const x509 = await loadX509();
  const publicKey = verifyingKey(leafKey);
  const { subject, usage, names } = describe(leaf);
  const certificate = await x509.X509CertificateGenerator.create({
    issuer: [{ CN: [AUTHORITY_NAME] }],
    subject: [{ CN: [subject] }],
    publicKey,
    signingKey: signingKey(authorityKey),
    ...validity,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(verifyingKey(authorityKey)),
    ],
  });
  return pem(certificate);
}

type Usage = 'serverAuth' | 'clientAuth';
type Name = { readonly type: 'ip' | 'dns' | 'url'; readonly value: string };

function describe(leaf: Leaf): { subject: string; usage: Usage; names: Name[] } {
  if ('uri' in leaf)
    return { subject: leaf.processName, usage: 'clientAuth', names: [{ type: 'url', value: leaf.uri }] };
  const { hosts } = leaf;
  const names = hosts.map((host): Name => ({ type: isIP(host) ? 'ip' : 'dns', value: host }));
  return { subject: hosts[0] ?? '', usage: 'serverAuth', names };
}

function signingKey(privateKeyPem: string): webcrypto.CryptoKey {
  return createPrivateKey(privateKeyPem).toCryptoKey(ALGORITHM, false, ['sign']);
}

function verifyingKey(privateKeyPem: string): webcrypto.CryptoKey {
  return createPublicKey(privateKeyPem).toCryptoKey(ALGORITHM, true, ['verify']);
}

const pem = (certificate: { toString(format: 'pem'): string }): string => `${certificate.toString('pem')}\n`;
