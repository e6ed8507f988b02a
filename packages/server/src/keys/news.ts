/** News of keys for whoever holds opened ones: written in the transaction that makes them true, told by NOTIFY after its commit. */
import type { KeyId } from '@keyward/sdk/seal';
import type { ClientBase } from 'pg';

export const NEWS_CHANNEL = 'keyward_key_news';

export interface News {
  /** Copies of these keys must be dropped now. */
  readonly ids: readonly KeyId[];
  /** Specs whose active key changed: to be asked for anew. `EVERY_KEY` among them: whatever is held must be dropped. */
  readonly specs: readonly { readonly kind: string; readonly scope: string }[];
}

/** A KEK may stand over a million data keys: too many to be named. */
export const EVERY_KEY = { kind: '*', scope: '' } as const;

/** "KWN" 1: whoever announces holds this advisory lock until its transaction ends. */
const ORDER_LOCK = 0x4b574e01;

/**
 * To be called last in the transaction. Announcements wait for each other, so that sequences become visible in their order: who
 * reads behind the last one it saw passes nothing by.
 */
export async function announce(client: ClientBase, tenant: string, at: Date, { ids, specs }: News): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [ORDER_LOCK]);
  const insert = 'INSERT INTO key_news (tenant, at, ids, specs) VALUES ($1, $2, $3, $4)';
  await client.query(insert, [tenant, at, ids.map((id) => Buffer.from(id, 'hex')), JSON.stringify(specs)]);
  await client.query(`NOTIFY ${NEWS_CHANNEL}`);
}
