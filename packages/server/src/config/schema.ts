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

const profileSource = z.strictObject({
  files: z
    .array(z.string().min(1))
    .min(1)
    .meta({ description: 'FHIR JSON files, or folders of them: profiles, extensions, value sets, code systems.' }),
  appliesTo: z
    .string()
    .regex(/^(declared|[A-Z][A-Za-z]+)$/)
    .meta({
      description:
        '`declared`: resources that name the profile in `meta.profile`; or a type, every resource of which must satisfy it.',
    }),
  unchecked: z
    .array(z.url())
    .default([])
    .meta({ description: 'Urls of definitions and value sets that the profiles refer to, and that are not checked.' }),
});

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
  existingData: z.enum(['refuse', 'backfill', 'undo']).default('refuse').meta({
    description:
      'Records that the upstream holds unsealed: shown to nobody (refuse); shown as role and purpose permit while "keyward seal backfill" runs (backfill); the same while "keyward seal backfill --undo" puts plaintext back, and no other writes (undo).',
  }),
  prefixSearch: z
    .array(z.enum(['family', 'given']))
    .default([])
    .meta({
      description:
        'Names of persons that are found by their beginnings (3 to 8 letters) as well: further blind indexes stand beside each record. What that tells: "keyward seal leakage". Records of before are found so after "keyward seal backfill --reseal".',
    }),
  profiles: z.array(profileSource).default([]).meta({
    description:
      'Profiles that resources must satisfy when they are written, each with `files`, `appliesTo` and `unchecked`.',
  }),
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

const seal = z.strictObject({
  overridesFile: z
    .string()
    .optional()
    .meta({ description: 'What is sealed otherwise than by default (YAML). Default: nothing.' }),
  earlierOverridesFiles: z.array(z.string()).default([]).meta({
    description: 'Overrides files that records were sealed under before, so that these open.',
  }),
});

/** Of the gateway itself, or on its port. */
const RESERVED_PREFIXES: readonly string[] = ['/fhir', '/healthz', '/readyz', '/metrics'];

const operations = (what: string) =>
  z
    .array(z.string().regex(/^(GET|POST|PUT|PATCH|DELETE) \/\S*$/))
    .default([])
    .meta({ description: what });

const api = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/)
      .meta({ description: 'Name of the API; part of every seal, so it can never change.' }),
    prefix: z
      .string()
      .regex(/^\/[a-z0-9-]+$/)
      .refine((prefix) => !RESERVED_PREFIXES.includes(prefix), 'taken by the gateway')
      .meta({ description: 'First segment of its paths at the gateway.' }),
    upstream: z.strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .refine(isPlainUrl, 'no credentials, query or fragment')
        .meta({ description: 'Base of the API behind the gateway.' }),
    }),
    openapi: z.string().optional().meta({ description: 'Its OpenAPI 3.0 or 3.1 description with x-phi.' }),
    map: z.string().optional().meta({ description: 'Its map file, where there is no description.' }),
    policyFile: z.string().meta({ description: 'Who may do what with it (YAML).' }),
    allowUnmappedPlaintextRequests: operations('Operations that take JSON without a schema, in clear.'),
    allowUnmappedPlaintextResponses: operations('Operations that answer JSON without a schema, in clear.'),
  })
  .refine(({ openapi, map }) => (openapi === undefined) !== (map === undefined), 'either openapi or map');

const apis = z
  .array(api)
  .default([])
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'two APIs have one name')
  .refine((all) => new Set(all.map(({ prefix }) => prefix)).size === all.length, 'two APIs have one prefix')
  .meta({ description: 'JSON APIs beside FHIR, each with name, prefix, upstream, description and policy.' });

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
  apis,
  seal: seal.prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type IssuerConfig = z.infer<typeof issuer>;

/** JSON Schema of keyward.yaml, for editors. */
export const configJsonSchema = () => z.toJSONSchema(configSchema, { io: 'input' });
