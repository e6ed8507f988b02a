export { type ConfigRow, explainConfig } from './explain.ts';
export { type ConfigInputs, loadConfig, type LoadedConfig } from './load.ts';
export type { RootConfig, RootProvider } from './roots.ts';
export { type Config, configJsonSchema, type IssuerConfig } from './schema.ts';
export { readSecretReference, secretVariables, type SecretReference } from './secret-references.ts';
export { readOrCreateSecret, type SecretName } from './secrets.ts';
