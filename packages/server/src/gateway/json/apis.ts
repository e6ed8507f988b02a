/** Loads the JSON APIs of the configuration: descriptions, policies, upstreams. What does not fit together does not start. */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import type { Config } from '../../config/index.ts';
import { KeywardError } from '../../core/index.ts';
import { type JsonApiMap, readMapFile, readOpenApi } from '../../phi/index.ts';
import { loadPolicy, type PolicyTerms } from '../policy.ts';
import { createUpstream, type UpstreamOptions } from '../upstream.ts';
import type { ServedApi } from './exchange.ts';

type ApiConfig = Config['apis'][number];

/** @throws KeywardError `CONFIG_INVALID` | `API_MAP_INVALID`, naming the API */
export const loadApis = (
  configs: readonly ApiConfig[],
  limits: Pick<UpstreamOptions, 'timeoutMs' | 'maxAnswerBytes'>,
): ServedApi[] => configs.map((config) => loadApi(config, limits));

function loadApi(config: ApiConfig, limits: Pick<UpstreamOptions, 'timeoutMs' | 'maxAnswerBytes'>): ServedApi {
  const { name, prefix, upstream, policyFile, allowUnmappedPlaintextRequests, allowUnmappedPlaintextResponses } =
    config;
  const map = readMap(config);
  const operations = new Set(map.operations.map((operation) => operation.name));
  const unknown = [...allowUnmappedPlaintextRequests, ...allowUnmappedPlaintextResponses].find(
    (one) => !operations.has(one),
  );
  if (unknown !== undefined)
    throw new KeywardError('CONFIG_INVALID', { detail: `apis, ${name}: ${unknown} is not an operation of it.` });
  return {
    name,
    prefix,
    map,
    policy: loadPolicy(policyFile, termsOf(name, map)),
    upstream: createUpstream({ url: upstream.url, ...limits }),
    allowUnmappedPlaintextRequests: new Set(allowUnmappedPlaintextRequests),
    allowUnmappedPlaintextResponses: new Set(allowUnmappedPlaintextResponses),
  };
}

function termsOf(api: string, { types }: JsonApiMap): PolicyTerms {
  const names = new Set(types.map((type) => `${api}:${type}`));
  return {
    isType: (type) => names.has(type),
    interactions: ['read', 'search', 'create', 'update', 'delete'],
    compartments: false,
    tagsParts: false,
  };
}

function readMap({ name, openapi, map }: ApiConfig): JsonApiMap {
  const file = openapi ?? map ?? '';
  try {
    return openapi === undefined ? readMapFile(readYaml(name, file), name) : readOpenApi(readYaml(name, file), name);
  } catch (cause) {
    if (cause instanceof KeywardError && cause.code === 'API_MAP_INVALID')
      throw new KeywardError('API_MAP_INVALID', { detail: `${name}: ${cause.detail ?? ''}`, cause });
    throw cause;
  }
}

/** JSON is YAML too. */
function readYaml(name: string, file: string): unknown {
  try {
    return parseYaml(readFileSync(file, 'utf8'), { strict: true, uniqueKeys: true });
  } catch (cause) {
    throw new KeywardError('CONFIG_INVALID', {
      detail: `apis, ${name}: its description cannot be read as YAML.`,
      cause,
    });
  }
}
