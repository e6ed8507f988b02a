/** The one configuration schema: a strict object per room; file, environment, flags, help and reference come from it. */
import { z } from 'zod';
import { rootConfigSchema } from './roots.ts';

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

const operator = z.strictObject({
  issuer: z.string().min(1).meta({ description: "The `iss` of the person's tokens." }),
  sub: z.string().min(1).meta({ description: "The `sub` of the person's tokens." }),
  roles: z
    .array(z.enum(['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor']))
    .min(1)
    .meta({ description: 'What the person may do.' }),
});

const days = (what: string, { least, value, most }: { least: number; value: number; most: number }) =>
  z
    .int()
    .min(least)
    .max(most)
    .default(value)
    .meta({ description: `Days that ${what} (${least} to ${most}).` });

/** Limits of NIST SP 800-57 part 1, section 5.3.6, for what protects health data. */
const cryptoperiodDays = z.strictObject({
  kek: days('a KEK wraps new data keys before it is rotated', { least: 30, value: 90, most: 730 }),
  data: days('a data key seals before it is rotated, at its next use', { least: 30, value: 90, most: 730 }),
  root: days('KEKs may stand on one root key before an alarm is raised', { least: 30, value: 365, most: 1095 }),
  signing: days('certificates are signed with one key before it is rotated', { least: 30, value: 365, most: 1095 }),
});

const destruction = z.strictObject({
  waitingDays: z.int().min(7).max(90).default(7).meta({
    description:
      'Days between the approved order of a destruction and its end, in which it can be called off (7 to 90).',
  }),
  rehearsalSeconds: z.int().min(1).max(3600).optional().meta({
    description: 'Instead of these days, for rehearsals. Refused unless the root is the local development key.',
  }),
});

const keys = z.strictObject({
  root: rootConfigSchema.default({ provider: 'local' }).meta({
    description:
      'What wraps the KEKs: `provider` (local, pkcs11, transit, aws-kms, azure-key-vault or gcp-kms) and its settings; docs/reference/roots.md has all.',
  }),
  nextRoot: rootConfigSchema.optional().meta({
    description: 'The root that "keyward keys move-root" moves to. Becomes `root` when that is done.',
  }),
  backupDirectory: z.string().min(1).optional().meta({
    description: 'Where sealed backups of the key hierarchy are written. Default: backups in the data directory.',
  }),
  cryptoperiodDays: cryptoperiodDays.prefault({}),
  destruction: destruction.prefault({}),
  approvals: z
    .strictObject({
      needed: z.int().min(1).max(10).default(2).meta({
        description: 'Approvals that a dangerous act on keys takes; none of them by whoever asked for it.',
      }),
      ttlHours: z.int().min(1).max(720).default(24).meta({ description: 'Hours until such a request expires.' }),
    })
    .prefault({}),
  operators: z.array(operator).default([]).meta({
    description:
      'Who has which roles in key management at first: each with `issuer`, `sub` and `roles`. Read only while nobody has a role; later roles are granted with "keyward keys grant".',
  }),
  listen: z
    .strictObject({
      host: z
        .string()
        .min(1)
        .meta({ description: 'Address on which the custodian serves other hosts, by mutual TLS.' }),
      port: port('Its port.', 8445),
      names: z.array(z.string().min(1)).default([]).meta({
        description:
          'Names under which other hosts reach it, beside the address; for the certificate of the development CA.',
      }),
      files: z
        .strictObject({
          caFile: z.string().min(1).meta({ description: 'PEM file of the CA that signs what processes show.' }),
          certFile: z.string().min(1).meta({ description: "PEM file of the custodian's certificate." }),
          keyFile: z.string().min(1).meta({ description: 'PEM file of its private key.' }),
        })
        .optional()
        .meta({
          description:
            "Certificates of your own CA (PEM): `caFile` signs what processes show, `certFile` and `keyFile` are the custodian's. Default: those of the development CA.",
        }),
    })
    .optional()
    .meta({
      description:
        'Where the custodian serves processes of other hosts: `host`, `port`, `names`, `files`. Default: nowhere.',
    }),
  custodianUrl: z
    .url({ protocol: /^https$/ })
    .refine(isPlainUrl, 'no credentials, query or fragment')
    .optional()
    .meta({
      description: 'The custodian on another host, e.g. https://keys.example.org:8445. Default: the one of this host.',
    }),
  clientCertificates: z.string().min(1).optional().meta({
    description:
      'Folder with what processes show to a custodian on another host: gateway.pem, store.pem and admin.pem (private key and certificate), and ca.pem. Default: ca/clients in the data directory.',
  }),
  rateLimit: z
    .strictObject({
      perSecond: z.int().min(1).default(5_000).meta({
        description: 'Keys that one person may have asked for through one process, per second.',
      }),
      burst: z
        .int()
        .min(1_000)
        .default(50_000)
        .meta({ description: 'Keys that may be asked for at once, before that.' }),
    })
    .prefault({}),
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
