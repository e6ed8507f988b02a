/**
 * A FAKE of Azure Key Vault and Managed HSM for tests: the few calls of its REST API that one root makes, with real cryptography
 * and keys in memory. It is no Azure, and nothing of the product uses it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeAttributes {
  enabled: boolean;
  /** Seconds since 1970. */
  nbf?: number;
  exp?: number;
  exportable?: boolean;
}

interface FakeKey {
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly attributes: FakeAttributes;
  readonly secret: KeyObject | Buffer;
}

export interface FakeKeyVault {
  readonly port: number;
  /** Makes a key; answers its path, e.g. `/keys/root/0123…`. */
  create(kind: keyof typeof MAKERS, attributes?: Partial<FakeAttributes>): string;
  attributesOf(path: string): FakeAttributes;
  /** Path of a key → what is answered in its place. */
  readonly answers: Map<string, { readonly status: number; readonly body: unknown }>;
  close(): Promise<void>;
}

const OAEP = { oaepHash: 'sha256' } as const;
/** RFC 3394, section 2.2.3.1. */
const AES_KW_IV = Buffer.alloc(8, 0xa6);
const WRAPPING = ['wrapKey', 'unwrapKey'];

const rsa = (kty: string, bits: number) => () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return { jwk: { ...publicKey.export({ format: 'jwk' }), kty, key_ops: WRAPPING }, secret: privateKey };
};

const ec = (namedCurve: string) => () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
  return { jwk: { ...publicKey.export({ format: 'jwk' }), key_ops: ['sign', 'verify'] }, secret: privateKey };
};

const MAKERS = {
  rsa: rsa('RSA', 3072),
  rsaHsm: rsa('RSA-HSM', 3072),
  rsa2048: rsa('RSA', 2048),
  ec: ec('P-256'),
  ec384: ec('P-384'),
  oct: () => ({ jwk: { kty: 'oct-HSM', key_ops: WRAPPING }, secret: randomBytes(32) }),
};

type Operation = (secret: KeyObject | Buffer, value: Buffer) => Buffer;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'wrapkey RSA-OAEP-256': (key, value) => publicEncrypt({ key: key as KeyObject, ...OAEP }, value),
  'unwrapkey RSA-OAEP-256': (key, value) => privateDecrypt({ key: key as KeyObject, ...OAEP }, value),
  'wrapkey A256KW': (key, value) => through(createCipheriv('id-aes256-wrap', key, AES_KW_IV), value),
  'unwrapkey A256KW': (key, value) => through(createDecipheriv('id-aes256-wrap', key, AES_KW_IV), value),
  'sign ES256': (key, value) => signDigest(key as KeyObject, value),
};

const through = (cipher: { update(bytes: Buffer): Buffer; final(): Buffer }, value: Buffer): Buffer =>
  Buffer.concat([cipher.update(value), cipher.final()]);

/** Order of P-256 (NIST SP 800-186, section 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (number: bigint): Buffer => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');

/** ECDSA over a digest (FIPS 186-5, section 6.4.1): what a vault signs with, and Node.js only offers over a message. */
function signDigest(key: KeyObject, digest: Buffer): Buffer {
  const secret = numberOf(Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url'));
  const once = createECDH('prime256v1');
  const point = once.generateKeys();
  const r = numberOf(point.subarray(1, 33)) % ORDER;
  const inverse = power(numberOf(once.getPrivateKey()), ORDER - 2n);
  return Buffer.concat([bytesOf(r), bytesOf((inverse * (numberOf(digest) + r * secret)) % ORDER)]);
}

function power(base: bigint, exponent: bigint): bigint {
  if (exponent === 0n) return 1n;
  const half = power((base * base) % ORDER, exponent / 2n);
  return exponent % 2n === 0n ? half : (half * base) % ORDER;
}

const CHALLENGE = 'Bearer authorization="https://login.example.org/tenant", resource="https://vault.example.org"';

export async function startFakeKeyVault(token: string): Promise<FakeKeyVault> {
  const keys = new Map<string, FakeKey>();
  const answers: FakeKeyVault['answers'] = new Map();
  let port = 0;

  const serve = async (incoming: IncomingMessage): Promise<{ status: number; body: unknown }> => {
    if (incoming.headers.authorization !== `Bearer ${token}`) return refusal(401, 'Unauthorized');
    const [, path = '', operation] = /^(\/keys\/[^/]+\/[^/?]+)(?:\/(\w+))?/.exec(incoming.url ?? '') ?? [];
    const canned = answers.get(path);
    if (canned) return canned;
    const key = keys.get(path);
    if (!key) return refusal(404, 'KeyNotFound');
    const kid = `http://127.0.0.1:${port}${path}`;
    if (operation === undefined) return { status: 200, body: { key: { ...key.jwk, kid }, attributes: key.attributes } };
    if (!key.attributes.enabled) return refusal(403, 'Forbidden');
    return operate(key, kid, operation, await bodyOf(incoming));
  };
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { status, body } = await serve(incoming);
    const challenge = status === 401 ? { 'www-authenticate': CHALLENGE } : {};
    outgoing.writeHead(status, { 'content-type': 'application/json', ...challenge }).end(JSON.stringify(body));
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  return {
    port,
    create(kind, attributes = {}) {
      const path = `/keys/${kind}/${randomBytes(16).toString('hex')}`;
      keys.set(path, { ...MAKERS[kind](), attributes: { enabled: true, ...attributes } });
      return path;
    },
    attributesOf: (path) => (keys.get(path) as FakeKey).attributes,
    answers,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function operate({ secret }: FakeKey, kid: string, operation: string, text: string): { status: number; body: unknown } {
  const { alg, value } = JSON.parse(text) as { alg: string; value: string };
  try {
    const result = OPERATIONS[`${operation} ${alg}`]?.(secret, Buffer.from(value, 'base64url'));
    return result ? { status: 200, body: { kid, value: result.toString('base64url') } } : refusal(400, 'BadParameter');
  } catch {
    return refusal(400, 'BadParameter');
  }
}

const refusal = (status: number, code: string) => ({ status, body: { error: { code, message: 'said to somebody' } } });

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk);
  return text;
}
