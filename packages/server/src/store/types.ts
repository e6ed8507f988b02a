/** What moves through the store: resources, where they lie, and what the store is built from. */
import type { KeyService } from '@keyward/sdk/client';
import type { Json } from '@keyward/sdk/seal';
import type pg from 'pg';
import type { Clock, Log } from '../core/index.ts';

export interface JsonObject {
  readonly [name: string]: Json;
}

export type Resource = JsonObject & { readonly resourceType: string };

export interface Address {
  readonly type: string;
  readonly id: string;
}

/** Where one version lies; its sealed body is bound to this. */
export interface VersionAddress extends Address {
  /** 1 for the first; a deletion is a version too. */
  readonly version: number;
}

export interface StoredAddress extends VersionAddress {
  readonly lastUpdated: Date;
}

export interface StoredVersion extends StoredAddress {
  /** The resource as the JSON text that was sealed: what the store wrote and authenticated is not read again to be answered. */
  readonly text: string;
}

/** One search parameter as sent: name with its modifier, and value. */
export type SearchPair = readonly [name: string, value: string];

export interface StoreDependencies {
  readonly pool: pg.Pool;
  readonly keys: KeyService;
  /** Sealed bodies are bound to it. */
  readonly tenant: string;
  readonly clock: Clock;
  readonly log: Log;
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
