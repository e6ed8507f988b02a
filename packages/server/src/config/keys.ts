/** Every configuration key as a flat list: its path, its environment variable, its description. */
import type { z } from 'zod';
import { configSchema } from './schema.ts';

export interface ConfigKey {
  /** Dotted path, e.g. `gateway.maxBodyBytes`. */
  readonly path: string;
  /** e.g. `KEYWARD_GATEWAY_MAX_BODY_BYTES`. */
  readonly env: string;
  readonly description: string;
  readonly secret: boolean;
}

const envName = (path: string) =>
  `KEYWARD_${path
    .replaceAll('.', '_')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;

type Shape = Record<string, z.ZodType>;

function shapeOf(schema: z.ZodType): Shape | undefined {
  const { def } = schema as unknown as { def: { type: string; innerType?: z.ZodType; shape?: Shape } };
  if (def.type === 'object') return def.shape;
  return def.innerType ? shapeOf(def.innerType) : undefined;
}

function metaOf(schema: z.ZodType): { description?: string; secret?: boolean } {
  return (schema.meta() ?? {}) as { description?: string; secret?: boolean };
}

function collect(shape: Shape, prefix: string): ConfigKey[] {
  return Object.entries(shape).flatMap(([name, schema]) => {
    const path = prefix + name;
    const inner = shapeOf(schema);
    if (inner) return collect(inner, `${path}.`);
    const { description = '', secret = false } = metaOf(schema);
    return [{ path, env: envName(path), description, secret }];
  });
}

export const configKeys = (): ConfigKey[] => collect(configSchema.shape, '');
