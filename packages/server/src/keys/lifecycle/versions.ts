/** One version of a KEK or of a data key as the life cycle sees it: everything but its wrapped bytes. */
import type { KeyId } from '@keyward/sdk/seal';
import { formatKeyRef, type KeyRef, parseKeyRef } from '../key-ref.ts';
import { query, type Queryable } from '../query.ts';

export interface KeyVersion {
  /** `kek/3` or `key/<hex>`. */
  readonly ref: string;
  readonly id: KeyId;
  /** `kek`, or the kind of a data key. */
  readonly kind: string;
  readonly scope: string;
  /** Its own version, or that of the KEK which wraps it. */
  readonly kekVersion: number;
  readonly state: string;
  /** The destruction it waits for. */
  readonly destruction: string | null;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly deactivatedAt: Date | null;
  readonly uses: number;
  readonly compromisedLater: boolean;
  /** Whether another version for the same purpose is active. */
  readonly rivalled: boolean;
}

interface VersionRow {
  readonly id: Buffer;
  readonly kind: string;
  readonly scope: string;
  readonly kek_version: number;
  readonly state: string;
  readonly destruction: string | null;
  readonly created_at: Date;
  readonly activated_at: Date | null;
  readonly deactivated_at: Date | null;
  readonly uses: string;
  readonly compromised_later: boolean;
  readonly rivalled: boolean;
}

const COLUMNS = 'v.state, v.destruction, v.created_at, v.activated_at, v.deactivated_at, v.uses, v.compromised_later';

const SELECT_KEK = `
  SELECT v.id, 'kek' AS kind, '' AS scope, v.version AS kek_version, ${COLUMNS},
    EXISTS (SELECT FROM kek o WHERE o.tenant = v.tenant AND o.state = 'active' AND o.id <> v.id) AS rivalled
  FROM kek v WHERE v.tenant = $1`;

const SELECT_KEY = `
  SELECT v.id, v.kind, v.scope, v.kek_version, ${COLUMNS},
    EXISTS (
      SELECT FROM data_key o WHERE o.tenant = v.tenant AND o.kind = v.kind AND o.scope = v.scope
        AND o.state = 'active' AND o.id <> v.id
    ) AS rivalled
  FROM data_key v WHERE v.tenant = $1`;

/** Of one spec, from the oldest to the newest. */
const OLDEST_FIRST = 'ORDER BY v.created_at, v.id';

export const selectKeks = (on: Queryable, tenant: string): Promise<KeyVersion[]> =>
  select(on, `${SELECT_KEK} ORDER BY v.version`, [tenant]);

interface KeyPage {
  readonly kind: string;
  readonly scope?: string | undefined;
  readonly state?: string | undefined;
  /** Keys behind this id. */
  readonly after?: KeyId | undefined;
  readonly limit: number;
}

const SELECT_PAGE = `${SELECT_KEY} AND v.kind = $2 AND ($3::text IS NULL OR v.scope = $3)
  AND ($4::text IS NULL OR v.state = $4) AND ($5::bytea IS NULL OR v.id > $5) ORDER BY v.id LIMIT $6`;

export function selectPage(on: Queryable, tenant: string, page: KeyPage): Promise<KeyVersion[]> {
  const after = page.after === undefined ? null : Buffer.from(page.after, 'hex');
  return select(on, SELECT_PAGE, [tenant, page.kind, page.scope ?? null, page.state ?? null, after, page.limit]);
}

/** Every version that a reference names, destroyed ones too. */
export function selectVersions(on: Queryable, tenant: string, ref: KeyRef, lock = ''): Promise<KeyVersion[]> {
  if ('kek' in ref) return select(on, `${SELECT_KEK} AND v.version = $2 ${lock}`, [tenant, ref.kek]);
  if ('key' in ref) return select(on, `${SELECT_KEY} AND v.id = $2 ${lock}`, [tenant, Buffer.from(ref.key, 'hex')]);
  const spec = `${SELECT_KEY} AND v.kind = $2 AND v.scope = $3 ${OLDEST_FIRST} ${lock}`;
  return select(on, spec, [tenant, ref.kind, ref.scope]);
}

/**
 * The same, locked until the transaction ends. A version that came while this waited for the lock is found by reading once
 * more, until nothing new comes: whoever adds one has to hold the lock of one that was there.
 */
export async function lockVersions(on: Queryable, tenant: string, ref: KeyRef): Promise<KeyVersion[]> {
  let count = -1;
  for (;;) {
    const versions = await selectVersions(on, tenant, ref, 'FOR UPDATE OF v');
    if (versions.length === count || !('kind' in ref)) return versions;
    count = versions.length;
  }
}

/** Names under which a version is held, or its risk accepted: its own, its spec's, its KEK's. */
export const namesOf = (version: KeyVersion): string[] => [
  ...new Set([version.ref, specOf(version), `kek/${version.kekVersion}`]),
];

/** A kind that no reference can name, as that of certificates, is named like the others nevertheless. */
const specOf = ({ kind, scope, ref }: KeyVersion): string =>
  kind === 'kek' ? ref : scope === '' ? kind : `${kind}/${scope}`;

/** Keys and patients of an event; cut by the ledger where they are too many for one entry. */
export const namedKeys = (versions: readonly KeyVersion[]) => ({
  keyIds: versions.map(({ id }) => id),
  subjects: [...new Set(versions.filter(({ kind }) => kind === 'subject').map(({ scope }) => scope))],
});

/** In the one way of writing it, so that equal references are equal texts. @throws KeywardError `KEYS_REF_INVALID` */
export const canonicalRef = (text: string): string => formatKeyRef(parseKeyRef(text));

async function select(on: Queryable, text: string, values: readonly unknown[]): Promise<KeyVersion[]> {
  return (await query<VersionRow>(on, text, values)).map(fromRow);
}

const fromRow = (row: VersionRow): KeyVersion => ({
  ref: row.kind === 'kek' ? `kek/${row.kek_version}` : `key/${row.id.toString('hex')}`,
  id: row.id.toString('hex'),
  kind: row.kind,
  scope: row.scope,
  kekVersion: row.kek_version,
  state: row.state,
  destruction: row.destruction,
  createdAt: row.created_at,
  activatedAt: row.activated_at,
  deactivatedAt: row.deactivated_at,
  uses: Number(row.uses),
  compromisedLater: row.compromised_later,
  rivalled: row.rivalled,
});
