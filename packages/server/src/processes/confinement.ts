/** What the custodian may touch of the machine: its own files, the network, and nothing else (K10). */
import { existsSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/index.ts';
import type { DataPaths } from '../core/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type RootProvider = Config['keys']['root']['provider'];

export interface Confined {
  readonly config: Config;
  /** Path of keyward.yaml. */
  readonly configFile: string | undefined;
  readonly paths: DataPaths;
  readonly env: Environment;
}

/** Generators and private halves of EC keys keep their state here: locked into memory, and left out of dumps. */
const SECURE_HEAP_BYTES = 1024 * 1024;

/** What Node would refuse to a custodian on any root. Its permissions are no jail for hostile code: they keep mistakes small. */
const ALWAYS = [
  '--permission',
  '--allow-net',
  // Its lines would stand between the JSON lines of the log.
  '--disable-warning=ExperimentalWarning',
  `--secure-heap=${SECURE_HEAP_BYTES}`,
];

interface RootNeeds {
  readonly flags?: readonly string[];
  /** Variables that name files, and places below the home directory, where the SDK of the provider looks for credentials. */
  readonly variables?: readonly string[];
  readonly home?: readonly string[];
}

const ROOT_NEEDS: Readonly<Record<RootProvider, RootNeeds>> = {
  local: {},
  transit: {},
  /** The library of the HSM is native code; it runs in a process of its own. */
  pkcs11: { flags: ['--allow-child-process', '--allow-addons'], variables: ['NODE_PATH'] },
  'aws-kms': {
    variables: [
      'AWS_SHARED_CREDENTIALS_FILE',
      'AWS_CONFIG_FILE',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
    ],
    home: ['.aws'],
  },
  'azure-key-vault': { variables: ['AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_CERTIFICATE_PATH'], home: ['.azure'] },
  'gcp-kms': { variables: ['GOOGLE_APPLICATION_CREDENTIALS'], home: ['.config/gcloud'] },
};

/** Flags of Node for the custodian's process. */
export function custodianFlags(confined: Confined): string[] {
  const { config, configFile, paths } = confined;
  const roots = [config.keys.root, ...(config.keys.nextRoot ? [config.keys.nextRoot] : [])];
  const needs = roots.map(({ provider }) => ROOT_NEEDS[provider]);
  const own = ownFolders(confined);
  const read = [
    ...codeFolders(),
    ...(configFile === undefined ? [] : [configFile]),
    ...secretFiles(paths),
    ...namedFiles(config.keys),
    ...needs.flatMap((each) => credentialPlaces(each, confined.env)),
    ...own,
  ];
  return [
    ...ALWAYS,
    ...new Set(needs.flatMap(({ flags = [] }) => flags)),
    ...unique(read).map((path) => `--allow-fs-read=${path}`),
    ...unique(own).map((path) => `--allow-fs-write=${path}`),
  ];
}

const unique = (paths: readonly string[]): string[] => [...new Set(paths.map((path) => resolve(path)))];

/** Where it writes: the root key, its socket, sealed backups, and what it remembers of the key database. */
function ownFolders({ config, paths }: Confined): string[] {
  const { root, nextRoot } = config.keys;
  const rootFiles = [root, nextRoot].flatMap((each) => (each?.provider === 'local' && each.file ? [each.file] : []));
  const backups = config.keys.backupDirectory ?? paths.backups;
  const folders = [
    paths.rootKeyDir,
    paths.sockets,
    backups,
    paths.custodian,
    ...rootFiles.map((file) => dirname(file)),
  ];
  // Of a folder that is not there yet Node takes the path alone, not what will lie in it.
  return folders.flatMap((folder) => [folder, `${folder}/*`]);
}

/** Its credentials and those of its callers; not the other database passwords, and nothing of the CA but what is public or its own. */
const secretFiles = (paths: DataPaths): string[] => [
  ...['db-custodian', 'db-ledger-writer', 'custodian-gateway', 'custodian-store', 'custodian-admin'].map((name) =>
    join(paths.secrets, name),
  ),
  join(paths.secrets, 'development-issuer.pem'),
  join(paths.run, 'postgres.json'),
  paths.caCertificate,
  paths.custodianCertificate,
];

/** Members of the configuration of keys that name files. */
const FILE_MEMBERS: ReadonlySet<string> = new Set(['file', 'caFile', 'certFile', 'keyFile']);

function namedFiles(settings: object): string[] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return FILE_MEMBERS.has(name) ? [value] : [];
    return typeof value === 'object' && value !== null ? namedFiles(value) : [];
  });
}

function credentialPlaces({ variables = [], home = [] }: RootNeeds, env: Environment): string[] {
  const named = variables.flatMap((name) => env[name]?.split(':') ?? []).filter((path) => path !== '');
  return [...named, ...home.map((place) => join(homedir(), place))];
}

/** Two levels above a file of this room. */
const SERVER_PACKAGE = join(import.meta.dirname, '../..');

/** This package, the SDK, and every folder that Node looks for packages in from here. */
function codeFolders(): string[] {
  const sdk = packageOf(fileURLToPath(import.meta.resolve('@keyward/sdk/client')));
  return [SERVER_PACKAGE, sdk, ...packageFolders(SERVER_PACKAGE)];
}

function packageFolders(from: string): string[] {
  const folder = join(from, 'node_modules');
  const here = existsSync(folder) ? [folder, realpathSync(folder)] : [];
  return dirname(from) === from ? here : [...here, ...packageFolders(dirname(from))];
}

function packageOf(file: string): string {
  const folder = dirname(realpathSync(file));
  return existsSync(join(folder, 'package.json')) ? folder : packageOf(folder);
}
