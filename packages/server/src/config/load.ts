/** Loads the configuration: defaults, then keyward.yaml, then KEYWARD_… variables, then flags; the last one wins. */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { KeywardError } from '../core/index.ts';
import { type ConfigKey, configKeys } from './keys.ts';
import { type Config, configSchema } from './schema.ts';

export interface ConfigInputs {
  /** keyward.yaml; none when undefined. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Dotted path → value. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where each key that is not a default came from: `file`, `env` or `flag`. */
  readonly sources: ReadonlyMap<string, string>;
}

type Tree = Record<string, unknown>;

/** Names of KEYWARD_… variables that are not configuration keys: the CLI and the tests read them. */
const OTHER_VARIABLES = /^KEYWARD_(TEST_|DATA_DIR$|CONFIG$|TOKEN$)/;

/** @throws KeywardError `CONFIG_UNREADABLE` | `CONFIG_INVALID`; the detail names keys, never values. */
export function loadConfig(inputs: ConfigInputs): LoadedConfig {
  const keys = configKeys();
  const tree: Tree = inputs.file ? readFile(inputs.file) : {};
  const sources = new Map<string, string>();
  for (const { path } of keys) if (valueAt(tree, path) !== undefined) sources.set(path, 'file');
  for (const [path, value] of fromEnvironment(keys, inputs.env)) set(tree, path, value, 'env', sources);
  for (const [path, value] of Object.entries(inputs.flags ?? {}))
    if (value !== undefined) set(tree, path, value, 'flag', sources);
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) throw new KeywardError('CONFIG_INVALID', { detail: describeIssues(parsed.error.issues) });
  return { config: parsed.data, sources };
}

function readFile(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new KeywardError('CONFIG_UNREADABLE', { cause });
  }
  try {
    const tree: unknown = parseYaml(text, { strict: true, uniqueKeys: true });
    if (tree === null) return {};
    if (typeof tree === 'object' && !Array.isArray(tree)) return tree as Tree;
  } catch (cause) {
    throw new KeywardError('CONFIG_INVALID', { detail: 'The file is not YAML.', cause });
  }
  throw new KeywardError('CONFIG_INVALID', { detail: 'The file does not hold a mapping.' });
}

/** Values are YAML scalars or flow collections, so that numbers and lists can be given. */
function fromEnvironment(keys: readonly ConfigKey[], env: ConfigInputs['env']): [string, unknown][] {
  const byName = new Map(keys.map((key) => [key.env, key.path]));
  return Object.entries(env).flatMap(([name, text]): [string, unknown][] => {
    if (!name.startsWith('KEYWARD_') || OTHER_VARIABLES.test(name) || text === undefined) return [];
    const path = byName.get(name);
    if (!path) throw new KeywardError('CONFIG_INVALID', { detail: `Unknown environment variable ${name}.` });
    return [[path, parseVariable(name, text)]];
  });
}

function parseVariable(name: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (cause) {
    throw new KeywardError('CONFIG_INVALID', { detail: `The value of ${name} is not YAML.`, cause });
  }
}

export function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, name) => (node as Tree | undefined)?.[name], tree);
}

function set(tree: Tree, path: string, value: unknown, source: string, sources: Map<string, string>): void {
  const names = path.split('.');
  const last = names.pop() as string;
  let node = tree;
  for (const name of names) {
    const inner = (node[name] ??= {});
    if (typeof inner !== 'object' || inner === null)
      throw new KeywardError('CONFIG_INVALID', { detail: `${name} is no mapping.` });
    node = inner as Tree;
  }
  node[last] = value;
  sources.set(path, source);
}

function describeIssues(issues: readonly { code: string; path: PropertyKey[]; keys?: string[] }[]): string {
  return issues
    .map(({ code, path, keys }) =>
      keys ? `unknown key ${[...path, keys.join(', ')].join('.')}` : `${path.join('.') || '(root)'}: ${code}`,
    )
    .join('; ');
}
