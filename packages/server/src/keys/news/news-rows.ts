/** News as the database keeps them: read in the order of their sequence, which is the order in which they became true. */
import type { KeyNews } from '@keyward/sdk/client';
import type { ClientBase } from 'pg';
import { EVERY_KEY } from '../news.ts';

export interface NewsItem extends KeyNews {
  readonly sequence: number;
  /** Whatever is held must be dropped. */
  readonly everything: boolean;
}

interface NewsRow {
  readonly sequence: string;
  readonly ids: Buffer[];
  readonly specs: KeyNews['specs'];
}

const SELECT = 'SELECT sequence, ids, specs FROM key_news WHERE tenant = $1';
const SELECT_AFTER = `${SELECT} AND sequence > $2 ORDER BY sequence`;
const SELECT_NEWEST = `SELECT * FROM (${SELECT} ORDER BY sequence DESC LIMIT $2) AS newest ORDER BY sequence`;

/** Everything behind `sequence`. */
export const newsAfter = (client: ClientBase, tenant: string, sequence: number): Promise<NewsItem[]> =>
  select(client, SELECT_AFTER, tenant, sequence);

/** The newest, at most `limit`, oldest first. */
export const newestNews = (client: ClientBase, tenant: string, limit: number): Promise<NewsItem[]> =>
  select(client, SELECT_NEWEST, tenant, limit);

async function select(client: ClientBase, text: string, tenant: string, bound: number): Promise<NewsItem[]> {
  const { rows } = await client.query<NewsRow>(text, [tenant, bound]);
  return rows.map(({ sequence, ids, specs }) => ({
    sequence: Number(sequence),
    ids: ids.map((id) => id.toString('hex')),
    specs: specs.filter(({ kind }) => kind !== EVERY_KEY.kind),
    everything: specs.some(({ kind }) => kind === EVERY_KEY.kind),
  }));
}
