/** The keys that certificates are signed with: seeds are data keys that no process may ask for, public keys stay for ever. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { DataKey } from '@keyward/sdk/seal';
import { KeywardError, newUuid } from '../../core/index.ts';
import type { DataKeys, StoredKey } from '../data-keys.ts';
import { createKeyRotation, type KeyRotation } from '../jobs/rotate-keys.ts';
import { permits } from '../lifecycle.ts';
import { CUSTODIAN_ITSELF } from '../operators.ts';
import { query } from '../query.ts';
import type { Signer } from './certificate.ts';
import type { LifeParts } from './parts.ts';

const SPEC = { kind: 'signature', scope: '' } as const;

/** PKCS #8 of an Ed25519 seed (RFC 8410, section 7): these bytes, then the 32 of the seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** SubjectPublicKeyInfo of Ed25519 ends with the 32 bytes of the key (RFC 8410, section 4). */
const PUBLIC_KEY_BYTES = 32;

export interface PublishedKey {
  readonly keyId: string;
  /** 32 bytes, in hex. */
  readonly publicKey: string;
  readonly createdAt: Date;
}

export interface SigningKeys {
  /** The active one, made where there is none. @throws KeywardError `KEYS_STATE_REFUSED` */
  signer(): Promise<Signer>;
  published(): Promise<PublishedKey[]>;
  /**
   * Computed from the private key, which nobody can plant: the published one is a row like others.
   * @throws KeywardError `KEYS_NOT_AUTHENTIC` | `KEYS_STATE_REFUSED`
   */
  publicKeyOf(keyId: string): Promise<Uint8Array>;
}

const PUBLISH = `
  INSERT INTO signing_key (key_id, tenant, public_key, created_at) VALUES ($2, $1, $3, $4) ON CONFLICT DO NOTHING`;

const PUBLISHED = `
  SELECT encode(key_id, 'hex') AS "keyId", encode(public_key, 'hex') AS "publicKey", created_at AS "createdAt"
  FROM signing_key WHERE tenant = $1 ORDER BY created_at`;

export function createSigningKeys(parts: LifeParts, dataKeys: DataKeys): SigningKeys {
  const { pool, tenant, clock } = parts;
  const rotation = createKeyRotation({ ...parts, dataKeys });
  return {
    async signer() {
      const [found = await create(parts, dataKeys)] = await dataKeys.findBySpecs([SPEC]);
      const stored = found.state === 'active' ? found : await replaced(rotation, dataKeys);
      if (!permits(stored.state, 'protect') || !permits(stored.kekState, 'process') || stored.destruction !== null)
        throw new KeywardError('KEYS_STATE_REFUSED');
      const key = privateKeyOf(await dataKeys.open(stored));
      await query(pool, PUBLISH, [tenant, Buffer.from(stored.id, 'hex'), publicBytes(key), clock.now()]);
      return { keyId: stored.id, key };
    },
    async publicKeyOf(keyId) {
      const [stored] = await dataKeys.findByIds([keyId]);
      if (stored?.kind !== SPEC.kind) throw new KeywardError('KEYS_NOT_AUTHENTIC');
      if (!permits(stored.state, 'process')) throw new KeywardError('KEYS_STATE_REFUSED');
      return publicBytes(privateKeyOf(await dataKeys.open(stored)));
    },
    published: () => query<PublishedKey>(pool, PUBLISHED, [tenant]),
  };
}

/** Two custodians that make the first at once agree on whichever came first. */
async function create({ recorder, events }: LifeParts, dataKeys: DataKeys): Promise<StoredKey> {
  const drafts = await dataKeys.draft([SPEC]);
  const facts = { verb: 'create', rule: 'keys.signature', resources: [SPEC.kind], keyIds: drafts.map(({ id }) => id) };
  const why = { by: CUSTODIAN_ITSELF, reason: 'the first key for certificates', correlationId: newUuid() };
  await recorder.record([events.changing(facts, why)]);
  await dataKeys.insert(drafts);
  const [stored] = await dataKeys.findBySpecs([SPEC]);
  if (!stored) throw new KeywardError('KEYS_STATE_REFUSED');
  return stored;
}

/** Whoever stops the key for certificates must not stop every destruction with it. */
async function replaced(rotation: KeyRotation, dataKeys: DataKeys): Promise<StoredKey> {
  await rotation.order(SPEC, {
    by: CUSTODIAN_ITSELF,
    reason: 'no key for certificates was active',
    correlationId: newUuid(),
  });
  const [stored] = await dataKeys.findBySpecs([SPEC]);
  if (!stored) throw new KeywardError('KEYS_STATE_REFUSED');
  return stored;
}

function privateKeyOf({ secret }: DataKey): KeyObject {
  const seed = secret.export();
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    seed.fill(0);
    der.fill(0);
  }
}

const publicBytes = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_KEY_BYTES);
