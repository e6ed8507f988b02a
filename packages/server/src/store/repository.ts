/** Resources with their versions: create, read, update, delete, history and search, on one database session. */
import type { Json } from '@keyward/sdk/seal';
import { type Clock, KeywardError, newUuid } from '../core/index.ts';
import type { Bodies, SealedVersion } from './bodies.ts';
import { indexRows } from './index-rows.ts';
import { indexedParameters } from './parameters.ts';
import { countStatement, idsStatement, pageStatement } from './search-sql.ts';
import type { Search } from './search-parse.ts';
import type { Isolation, Session } from './session.ts';
import type { Resource, StoredVersion } from './types.ts';
import type { Write } from './writes.ts';

export interface Page {
  readonly count: number;
  readonly offset: number;
}

export interface HistoryEntry {
  readonly version: number;
  readonly lastUpdated: Date;
  readonly method: Write['method'];
  /** Undefined for a deletion. */
  readonly resource: Resource | undefined;
}

interface CurrentRow {
  readonly version: number;
  readonly deleted: boolean;
}

interface VersionRow extends Omit<SealedVersion, 'body'> {
  readonly body: Buffer | null;
  readonly method: Write['method'];
}

const VERSION_COLUMNS = 'v.type, v.id, v.version, v.last_updated, v.method, v.body';

export class Repository {
  readonly #session: Session;
  readonly #bodies: Bodies;
  readonly #clock: Clock;

  constructor(session: Session, bodies: Bodies, clock: Clock) {
    this.#session = session;
    this.#bodies = bodies;
    this.#clock = clock;
  }

  /** `work` gets a repository within the transaction, and may run several times. */
  transaction<T>(isolation: Isolation, work: (repository: Repository) => Promise<T>): Promise<T> {
    return this.#session.transaction(isolation, (session) => work(new Repository(session, this.#bodies, this.#clock)));
  }

  /** The id is the store's, whatever the resource says. */
  create(resource: Resource, id = newUuid()): Promise<StoredVersion> {
    return this.#write(resource, id, 1, 'POST');
  }

  /** Creates what does not exist: version 1 tells. `ifMatch` is the version the caller has seen. */
  update(resource: Resource, id: string, ifMatch: number | undefined): Promise<StoredVersion> {
    return this.transaction('READ COMMITTED', async (within) => {
      const current = await within.#lock(resource.resourceType, id);
      if (ifMatch !== undefined && (current === undefined || current.deleted || current.version !== ifMatch)) {
        throw new KeywardError('FHIR_PRECONDITION');
      }
      return within.#write(resource, id, (current?.version ?? 0) + 1, 'PUT');
    });
  }

  /** Deleting what is deleted already changes nothing. @throws KeywardError `FHIR_NOT_FOUND` for what never was. */
  delete(type: string, id: string, ifMatch: number | undefined): Promise<void> {
    return this.transaction('READ COMMITTED', async (within) => {
      const current = await within.#lock(type, id);
      if (!current) throw new KeywardError('FHIR_NOT_FOUND');
      if (ifMatch !== undefined && current.version !== ifMatch) throw new KeywardError('FHIR_PRECONDITION');
      if (current.deleted) return;
      const version = current.version + 1;
      await within.#session.write({
        type,
        id,
        version,
        lastUpdated: this.#clock.now(),
        method: 'DELETE',
        body: null,
        rows: undefined,
      });
    });
  }

  read(type: string, id: string): Promise<StoredVersion> {
    return this.#one({
      name: 'store-read',
      text: `SELECT ${VERSION_COLUMNS} FROM resource r JOIN resource_version v USING (type, id, version) WHERE r.type = $1 AND r.id = $2`,
      values: [type, id],
    });
  }

  readVersion(type: string, id: string, version: number): Promise<StoredVersion> {
    return this.#one({
      name: 'store-read-version',
      text: `SELECT ${VERSION_COLUMNS} FROM resource_version v WHERE v.type = $1 AND v.id = $2 AND v.version = $3`,
      values: [type, id, version],
    });
  }

  /** Newest first. @throws KeywardError `FHIR_NOT_FOUND` for what never was. */
  async history(type: string, id: string, page: Page): Promise<{ total: number; entries: HistoryEntry[] }> {
    const current = await this.#session.query<CurrentRow>({
      text: 'SELECT version FROM resource WHERE type = $1 AND id = $2',
      values: [type, id],
    });
    // Versions count up from 1 without holes.
    const total = current[0]?.version;
    if (total === undefined) throw new KeywardError('FHIR_NOT_FOUND');
    const rows = await this.#session.query<VersionRow>({
      text: `SELECT ${VERSION_COLUMNS} FROM resource_version v WHERE v.type = $1 AND v.id = $2 AND v.version <= $3 ORDER BY v.version DESC LIMIT $4`,
      values: [type, id, total - page.offset, page.count],
    });
    const opened = await this.#bodies.open(rows.filter(hasBody));
    const resourceOf = new Map(rows.filter(hasBody).map(({ version }, index) => [version, opened[index]]));
    return {
      total,
      entries: rows.map(({ version, last_updated, method }) => ({
        version,
        lastUpdated: last_updated,
        method,
        resource: resourceOf.get(version),
      })),
    };
  }

  /** The page, and whether there is another one after it. */
  async search(search: Search): Promise<{ matches: Resource[]; hasNext: boolean }> {
    const { index } = await this.#bodies.keys();
    const rows = await this.#session.query<SealedVersion>(pageStatement(search, index));
    return { matches: await this.#bodies.open(rows.slice(0, search.count)), hasNext: rows.length > search.count };
  }

  async count(search: Search): Promise<number> {
    const { index } = await this.#bodies.keys();
    const [row] = await this.#session.query<{ total: number }>(countStatement(search, index));
    return row?.total ?? 0;
  }

  /** The id of the only match, if there is one. @throws KeywardError `FHIR_PRECONDITION` when there are several. */
  async findOne(search: Search): Promise<string | undefined> {
    const { index } = await this.#bodies.keys();
    const rows = await this.#session.query<{ id: string }>(idsStatement(search, index, 2));
    if (rows.length > 1) throw new KeywardError('FHIR_PRECONDITION');
    return rows[0]?.id;
  }

  async #lock(type: string, id: string): Promise<CurrentRow | undefined> {
    const [row] = await this.#session.query<CurrentRow>({
      name: 'store-lock',
      text: 'SELECT version, deleted FROM resource WHERE type = $1 AND id = $2 FOR UPDATE',
      values: [type, id],
    });
    return row;
  }

  async #write(body: Resource, id: string, version: number, method: 'POST' | 'PUT'): Promise<StoredVersion> {
    const keys = await this.#bodies.keys();
    const lastUpdated = this.#clock.now();
    const address = { type: body.resourceType, id, version };
    const resource = stamp(body, id, version, lastUpdated);
    const text = JSON.stringify(resource);
    const plain = JSON.parse(text) as Resource;
    const rows = indexRows(plain, indexedParameters(address.type).values(), keys.index);
    await this.#session.write({
      ...address,
      lastUpdated,
      method,
      body: this.#bodies.seal(keys.body, address, text),
      rows,
    });
    return { ...address, lastUpdated, resource };
  }

  async #one(statement: Parameters<Session['query']>[0]): Promise<StoredVersion> {
    const [row] = await this.#session.query<VersionRow>(statement);
    if (!row) throw new KeywardError('FHIR_NOT_FOUND');
    if (!hasBody(row)) throw new KeywardError('FHIR_GONE');
    const [resource] = await this.#bodies.open([row]);
    if (!resource) throw new KeywardError('STORE_NOT_AUTHENTIC');
    return { type: row.type, id: row.id, version: row.version, lastUpdated: row.last_updated, resource };
  }
}

const hasBody = (row: VersionRow): row is VersionRow & { readonly body: Buffer } => row.body !== null;

/** What the server decides about a resource; the rest of `meta` stays. */
function stamp(resource: Resource, id: string, version: number, lastUpdated: Date): Resource {
  const { resourceType, id: _id, meta, ...rest } = resource;
  const kept = meta as Readonly<Record<string, Json>> | undefined;
  return {
    resourceType,
    id,
    meta: { ...kept, versionId: String(version), lastUpdated: lastUpdated.toISOString() },
    ...rest,
  };
}
