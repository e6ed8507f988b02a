/** What the configuration is and where each value came from; secrets are not shown. */
import { configKeys } from './keys.ts';
import { type LoadedConfig, valueAt } from './load.ts';

export interface ConfigRow {
  readonly key: string;
  readonly value: unknown;
  /** `default`, `file`, `env` or `flag`. */
  readonly source: string;
  /** The environment variable that sets it. */
  readonly env: string;
  readonly description: string;
  readonly secret: boolean;
}

export function explainConfig({ config, sources }: LoadedConfig): ConfigRow[] {
  return configKeys().map(({ path, env, description, secret }) => ({
    key: path,
    value: secret ? '(secret)' : (valueAt(config, path) ?? null),
    source: sources.get(path) ?? 'default',
    env,
    description,
    secret,
  }));
}
