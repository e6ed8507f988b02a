/** Settings of each root, by provider; whatever is not in there is refused. */
import { z } from 'zod';
import { secretReference } from './secret-references.ts';

const text = (description: string) => z.string().min(1).meta({ description });
const secret = (description: string) => secretReference.meta({ description });

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** What passes between custodian and root are KEKs and credentials: in clear only where no wire is. */
function isEncryptedOrLoopback(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
}

const url = (description: string) =>
  z
    .string()
    .refine(isEncryptedOrLoopback, 'https, or http to this machine; no credentials, query or fragment')
    .meta({ description });

const local = z.strictObject({
  provider: z.literal('local'),
  file: text('File of the root key. Default: root/root.key in the data directory.').optional(),
  passphrase: secret('Passphrase that the file is encrypted under. Default: none.').optional(),
});

const pkcs11 = z.strictObject({
  provider: z.literal('pkcs11'),
  module: text('PKCS#11 library of the HSM, e.g. /usr/lib/softhsm/libsofthsm2.so.'),
  token: text('Label of the token.'),
  key: text('Label of the AES key; made in the token when the first KEK is wrapped.'),
  pin: secret('PIN of the user of the token.'),
  mechanism: z
    .enum(['aes-gcm', 'aes-key-wrap-pad'])
    .default('aes-gcm')
    .meta({ description: 'What the token wraps with; aes-key-wrap-pad where it does not offer AES-GCM.' }),
});

const transit = z.strictObject({
  provider: z.literal('transit'),
  address: url('Address of the OpenBao or Vault server, e.g. https://bao.example.org:8200.'),
  key: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/)
    .meta({ description: 'Name of the transit key, of type aes256-gcm96.' }),
  mount: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/)
    .default('transit')
    .meta({ description: 'Path of the transit engine.' }),
  namespace: text('Namespace of the engine.').optional(),
  token: secret('Token of the server; read again for each call, so that an agent may renew it.'),
  caFile: text('PEM file of the CA of the server. Default: the CAs that Node.js comes with.').optional(),
});

/** The version stands in the id: which key wraps must not change by itself. */
const azureKey = (description: string) =>
  z
    .string()
    .regex(/^https:\/\/[a-z0-9.-]+(:\d+)?\/keys\/[A-Za-z0-9-]{1,127}\/[0-9a-f]{32}$/)
    .meta({ description });

const awsKms = z.strictObject({
  provider: z.literal('aws-kms'),
  key: z
    .string()
    .regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/(mrk-)?[0-9a-f-]{32,36}$/)
    .meta({ description: 'ARN of the symmetric KMS key; no alias. Region and account are those of the ARN.' }),
});

const azureKeyVault = z.strictObject({
  provider: z.literal('azure-key-vault'),
  key: azureKey(
    'Id of the key with its version: RSA (3072 bits or more) in a vault, 256-bit oct-HSM in a Managed HSM.',
  ),
  signingKey: azureKey(
    'Id of an EC P-256 key with its version, needed with RSA: it signs what is wrapped, since anyone can encrypt under a public key.',
  ).optional(),
});

const gcpKms = z.strictObject({
  provider: z.literal('gcp-kms'),
  key: z
    .string()
    .regex(/^projects\/[a-z0-9.:-]+\/locations\/[a-z0-9-]+\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/)
    .meta({ description: 'Resource name of the symmetric key, without a version: the primary one wraps.' }),
});

export const rootConfigSchema = z.discriminatedUnion('provider', [
  local,
  pkcs11,
  transit,
  awsKms,
  azureKeyVault,
  gcpKms,
]);

export type RootConfig = z.infer<typeof rootConfigSchema>;
export type RootProvider = RootConfig['provider'];
