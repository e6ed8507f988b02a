/** The one configuration schema: a strict object per room; file, environment, flags, help and reference come from it. */
import { z } from 'zod';

const port = (description: string, value: number) => z.int().min(1).max(65_535).default(value).meta({ description });
const duration = (description: string, value: number) => z.int().min(1).default(value).meta({ description });
const host = z.string().min(1).default('127.0.0.1').meta({ description: 'Address to listen on.' });

/** Algorithms a token may be signed with; `none` and the symmetric ones cannot be listed. */
const TOKEN_ALGORITHMS = [
  'EdDSA',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const;

/** Credentials belong into a secret store, and a query would be lost: refused instead of shown or dropped. */
function isPlainUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}

const gateway = z.strictObject({
  host,
  port: port('Port of the gateway.', 8443),
  publicUrl: z
    .url({ protocol: /^https$/ })
    .optional()
    .meta({ description: 'Origin that clients see; links are written with it. Default: https://localhost:PORT.' }),
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(10 * 1024 * 1024 - 1)
    .meta({ description: 'Largest request body, in bytes.' }),
  maxUpstreamBytes: z
    .int()
    .min(1024)
    .default(64 * 1024 * 1024)
    .meta({ description: 'Largest upstream answer, in bytes.' }),
  upstreamUrl: z
    .url({ protocol: /^https?$/ })
    .refine(isPlainUrl, 'no credentials, query or fragment')
    .optional()
    .meta({ description: 'FHIR base of the server behind the gateway. Default: the built-in store.' }),
  upstreamTimeoutMs: duration('How long the upstream may take to answer, in milliseconds.', 30_000),
  policyFile: z
    .string()
    .optional()
    .meta({ description: 'Access policy (YAML). Default: the policy that comes with Keyward.' }),
});

const admin = z.strictObject({ host, port: port('Port of the admin API.', 8444) });

const keys = z.strictObject({
  rootFile: z
    .string()
    .optional()
    .meta({ description: 'File of the local development root key. Default: root/root.key in the data directory.' }),
  cacheMaxAgeMs: duration('How long a process may keep an opened data key, in milliseconds.', 300_000),
  cacheMaxUses: z.int().min(1).default(100_000).meta({
    description:
      'How often a process may take an opened data key from its cache before it asks the custodian again. A request takes a key once per key call, however many values it then seals or opens.',
  }),
  cacheMaxKeys: z.int().min(1).default(20_000).meta({ description: 'How many opened data keys a process may hold.' }),
});

const ledger = z.strictObject({
  deadlineMs: duration('How long a request waits for its ledger entry before it fails closed, in milliseconds.', 5_000),
});

const issuer = z.strictObject({
  issuer: z.url().meta({ description: 'The `iss` of its tokens.' }),
  jwksUrl: z.url({ protocol: /^https$/ }).meta({ description: 'Where its keys are published.' }),
  algorithms: z
    .array(z.enum(TOKEN_ALGORITHMS))
    .min(1)
    .meta({ description: 'Signature algorithms its tokens may use.' }),
  roleClaim: z.string().default('role').meta({ description: 'Claim that holds the role of the policy.' }),
  purposeClaim: z
    .string()
    .default('purpose_of_use')
    .meta({ description: 'Claim that holds the purpose of use (HL7 v3 ActReason).' }),
});

const identity = z.strictObject({
  audience: z.string().min(1).default('keyward').meta({ description: 'The `aud` a token must have.' }),
  issuers: z
    .array(issuer)
    .default([])
    .meta({ description: 'Token issuers. With none, the development issuer is used, from loopback only.' }),
});

export const configSchema = z.strictObject({
  tenant: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .default('default')
    .meta({ description: 'Name of the tenant; part of every seal, so it can never change.' }),
  gateway: gateway.prefault({}),
  admin: admin.prefault({}),
  keys: keys.prefault({}),
  ledger: ledger.prefault({}),
  identity: identity.prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type IssuerConfig = z.infer<typeof issuer>;

/** JSON Schema of keyward.yaml, for editors. */
export const configJsonSchema = () => z.toJSONSchema(configSchema, { io: 'input' });
