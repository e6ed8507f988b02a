/** Bodies of resource versions, sealed whole: a body opens only at the address it was written for (E3). */
import type { KeyService, KeyUse } from '@keyward/sdk/client';
import { type DataKey, envelopeKeyId, openBytes, SealError, sealBytes } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { VersionAddress } from './types.ts';

/** First part of the AAD: what these bytes are, and the version of this layout. */
const AAD_LABEL = 'keyward/store-body/1';

export interface StoreKeys {
  readonly body: DataKey;
  readonly index: DataKey;
}

export interface SealedVersion extends VersionAddress {
  readonly last_updated: Date;
  readonly body: Buffer;
}

const INDEX = { kind: 'index', indexClass: 'store' } as const;

/** The keys on behalf of one request. */
export class Bodies {
  readonly #service: KeyService;
  readonly #tenant: string;
  readonly #use: KeyUse;
  #index: Promise<DataKey> | undefined;

  constructor(service: KeyService, tenant: string, correlationId: string) {
    this.#service = service;
    this.#tenant = tenant;
    // A body's key is the store's own: it belongs to no patient.
    this.#use = { tenant, subjects: [], purpose: 'SYSTEM', correlationId };
  }

  /** To look for what is stored. */
  index(): Promise<DataKey> {
    return (this.#index ??= this.#service.protect([INDEX], this.#use).then(([key]) => key ?? unavailable()));
  }

  /** To seal one version. */
  async keysToSeal(): Promise<StoreKeys> {
    const [body, index] = await this.#service.protect([{ kind: 'store' }, INDEX], this.#use);
    return { body: body ?? unavailable(), index: index ?? unavailable() };
  }

  seal(key: DataKey, address: VersionAddress, text: string): Buffer {
    return sealBytes(key, this.#aad(address), Buffer.from(text));
  }

  /** The texts that were sealed. @throws KeywardError `STORE_NOT_AUTHENTIC` when a body was altered or moved; nothing is returned then. */
  async open(versions: readonly SealedVersion[]): Promise<string[]> {
    const ids = versions.map(({ body }) => notAuthentic(() => envelopeKeyId(body)));
    const distinct = [...new Set(ids)];
    const keys = distinct.length ? await this.#service.process(distinct, this.#use) : [];
    return versions.map((version, index) => {
      const key = keys[distinct.indexOf(ids[index] ?? '')];
      if (!key) throw new KeywardError('STORE_NOT_AUTHENTIC');
      return notAuthentic(() => openBytes(key, this.#aad(version), version.body)).toString();
    });
  }

  #aad({ type, id, version }: VersionAddress): Buffer {
    return Buffer.concat([AAD_LABEL, this.#tenant, type, id, String(version)].map(lengthPrefixed));
  }
}

function unavailable(): never {
  throw new KeywardError('KEYS_UNAVAILABLE');
}

function lengthPrefixed(part: string): Buffer {
  const bytes = Buffer.from(part);
  const framed = Buffer.allocUnsafe(4 + bytes.length);
  framed.writeUInt32BE(bytes.length);
  bytes.copy(framed, 4);
  return framed;
}

function notAuthentic<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw cause instanceof SealError ? new KeywardError('STORE_NOT_AUTHENTIC', { cause }) : cause;
  }
}
