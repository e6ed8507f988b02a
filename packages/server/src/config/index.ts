export { type ConfigRow, explainConfig } from './explain.ts';
export { type ConfigInputs, loadConfig, type LoadedConfig } from './load.ts';
export { type Config, configJsonSchema, type IssuerConfig } from './schema.ts';
export { readOrCreateSecret, type SecretName } from './secrets.ts';
