/** Keys of those who hold shares: a share travels sealed to its holder (X25519, HKDF-SHA-256, AES-256-GCM), so that nobody else can gather them. */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { createDataKey, type DataKey, openBytes, sealBytes } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { readPublicKey } from '../public-keys.ts';
import { invalidBackup } from './format.ts';

/** RFC 7748: 32 bytes. RFC 8410: what stands in front of them in SubjectPublicKeyInfo. */
const PUBLIC_KEY_BYTES = 32;
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const PREFIX = 'kwh1';
const LABEL = 'keyward/sealed-share/1';
const TITLE = 'keyward sealed recovery share 1';

export interface HolderKey {
  /** To be given to whoever makes backups: `kwh1…`. */
  readonly publicKey: string;
  /** PKCS #8 PEM; stays with the holder. */
  readonly privateKey: string;
}

export function generateHolderKey(): HolderKey {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    publicKey: `${PREFIX}${rawOf(publicKey).toString('base64url')}`,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/** Points of small order agree with nobody (RFC 7748, section 6.1), so it is tried. */
export function isHolderPublicKey(text: string): boolean {
  const publicKey = publicKeyOf(text);
  try {
    return (
      publicKey !== undefined &&
      diffieHellman({ privateKey: generateKeyPairSync('x25519').privateKey, publicKey }).length > 0
    );
  } catch {
    return false;
  }
}

/** @throws KeywardError `KEYS_REQUEST_INVALID` */
export function sealShare(share: string, holder: string): string {
  const recipient = isHolderPublicKey(holder) ? publicKeyOf(holder) : undefined;
  if (!recipient)
    throw new KeywardError('KEYS_REQUEST_INVALID', {
      detail: 'A holder key is not one of "keyward keys holder-key".',
    });
  const ephemeral = generateKeyPairSync('x25519');
  const sender = rawOf(ephemeral.publicKey);
  const key = agreedKey(ephemeral.privateKey, recipient, sender, rawOf(recipient));
  const sealed = sealBytes(key, Buffer.from(LABEL), Buffer.from(share));
  return `${TITLE}\n${Buffer.concat([sender, sealed]).toString('base64url')}\n`;
}

export const isSealedShare = (text: string): boolean => text.startsWith(`${TITLE}\n`);

/** @throws KeywardError `KEYS_BACKUP_INVALID`, also when it was sealed to somebody else */
export function openSealedShare(text: string, privateKeyPem: string): string {
  try {
    const [title, body = ''] = text.trimEnd().split(/\r?\n/);
    const bytes = Buffer.from(body, 'base64url');
    const sender = bytes.subarray(0, PUBLIC_KEY_BYTES);
    const privateKey = createPrivateKey(privateKeyPem);
    const key = agreedKey(privateKey, fromRaw(sender), sender, rawOf(createPublicKey(privateKey)));
    if (title === TITLE) return openBytes(key, Buffer.from(LABEL), bytes.subarray(PUBLIC_KEY_BYTES)).toString('utf8');
  } catch (cause) {
    throw invalidBackup(cause);
  }
  throw invalidBackup();
}

/** Both public keys go into the derivation: a share cannot be presented as sealed by or to another key. */
function agreedKey(own: KeyObject, other: KeyObject, sender: Uint8Array, recipient: Uint8Array): DataKey {
  const secret = diffieHellman({ privateKey: own, publicKey: other });
  try {
    return createDataKey(Buffer.from(hkdfSync('sha256', secret, Buffer.concat([sender, recipient]), LABEL, 32)));
  } finally {
    secret.fill(0);
  }
}

const rawOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length);

const fromRaw = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });

function publicKeyOf(text: string): KeyObject | undefined {
  const raw = text.startsWith(PREFIX) ? readPublicKey('x25519', text.slice(PREFIX.length)) : undefined;
  if (!raw) return undefined;
  try {
    return fromRaw(raw);
  } catch {
    return undefined;
  }
}
