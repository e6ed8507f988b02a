/** Resources with their versions: create, read, update, delete, history and search, on one database session. */
import type { Json } from '@keyward/sdk/seal';
import { type Clock, KeywardError } from '../core/index.ts';
import type { Bodies, SealedVersion } from './bodies.ts';
import { indexRows } from './index-rows.ts';
import { indexedParameters } from './parameters.ts';
import { type Criteria, findExisting } from './conditional.ts';
import { everythingStatement, typesAlong } from './everything.ts';
import { includedByRules, includedOfTypes } from './included.ts';
import { writePlace } from './search-order.ts';
import type { EverythingRequest, HistoryRequest, Search } from './search-parse.ts';
import { bodiesStatement, type IncludedRow } from './search-includes.ts';
import { countStatement, pageStatement, withinPageBytes } from './search-sql.ts';
import type { Session, Statement } from './session.ts';
import type { Address, Resource, StoredAddress, StoredVersion } from './types.ts';
import type { Write } from './writes.ts';

export interface Entry extends Address {
  readonly text: string;
}

export interface SearchPage {
  readonly matches: readonly Entry[];
  /** What the matches of this page bring along. */
  readonly included: readonly Entry[];
  /** Where the next page begins; undefined after the last. */
  readonly next: string | undefined;
}

export interface HistoryPage {
  /** Of all pages. */
  readonly total: number;
  readonly entries: readonly HistoryEntry[];
}

export interface HistoryEntry {
  readonly version: number;
  readonly lastUpdated: Date;
  readonly method: Write['method'];
  /** There was nothing before, or a deletion. */
  readonly isNew: boolean;
  /** Undefined for a deletion. */
  readonly text: string | undefined;
}

interface CurrentRow {
  readonly version: number;
  readonly deleted: boolean;
}

interface VersionRow extends Omit<SealedVersion, 'body'> {
  readonly body: Buffer | null;
  readonly method: Write['method'];
}

interface PageRow extends SealedVersion {
  /** How many the page and one more could be. */
  readonly found: number;
  /** The row's place in the order. */
  readonly keys: readonly string[];
}

const VERSION_COLUMNS = 'v.type, v.id, v.version, v.last_updated, v.method, v.body';

const HISTORY = withinPageBytes(`
SELECT ${VERSION_COLUMNS}, -v.version AS place, coalesce(lead(v.method) OVER (ORDER BY v.version DESC), 'DELETE') = 'DELETE' AS is_new
FROM resource_version v WHERE v.type = $1 AND v.id = $2 AND v.version <= $3 ORDER BY v.version DESC LIMIT $4`);

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
  transaction<T>(work: (repository: Repository) => Promise<T>): Promise<T> {
    return this.#session.transaction((session) => work(new Repository(session, this.#bodies, this.#clock)));
  }

  create(resource: Resource, id: string): Promise<StoredVersion> {
    return this.#write(resource, id, 1, 'POST');
  }

  /** Within a transaction: what meets each of the criteria already. @throws KeywardError `FHIR_MULTIPLE_MATCHES` */
  async existing(criteria: readonly Criteria[]): Promise<(StoredAddress | undefined)[]> {
    const index = await this.#bodies.index();
    return findExisting(criteria, this.#session, index);
  }

  /** Creates what does not exist, or no longer (`isNew`). `ifMatch` is the version the caller has seen. */
  update(
    resource: Resource,
    id: string,
    ifMatch: number | undefined,
  ): Promise<{ stored: StoredVersion; isNew: boolean }> {
    return this.transaction(async (within) => {
      const current = await within.#lock(resource.resourceType, id);
      const isNew = current === undefined || current.deleted;
      if (ifMatch !== undefined && (isNew || current.version !== ifMatch)) throw new KeywardError('FHIR_PRECONDITION');
      const stored = await within.#write(resource, id, (current?.version ?? 0) + 1, 'PUT');
      return { stored, isNew };
    });
  }

  /** Deleting what is deleted already changes nothing. @throws KeywardError `FHIR_NOT_FOUND` for what never was. */
  delete(type: string, id: string, ifMatch: number | undefined): Promise<void> {
    return this.transaction(async (within) => {
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
  async history(type: string, id: string, { count, after }: HistoryRequest): Promise<HistoryPage> {
    const current = await this.#session.query<CurrentRow>({
      text: 'SELECT version FROM resource WHERE type = $1 AND id = $2',
      values: [type, id],
    });
    // Versions count up from 1 without holes.
    const total = current[0]?.version;
    if (total === undefined) throw new KeywardError('FHIR_NOT_FOUND');
    const newest = after === undefined ? total : after - 1;
    const rows = await this.#session.query<VersionRow & { readonly is_new: boolean }>({
      text: HISTORY,
      values: [type, id, newest, count],
    });
    const texts = await this.#bodies.open(rows.filter(hasBody));
    const textOf = new Map(rows.filter(hasBody).map(({ version }, index) => [version, texts[index]]));
    return {
      total,
      entries: rows.map(({ version, last_updated, method, is_new }) => ({
        version,
        lastUpdated: last_updated,
        method,
        isNew: is_new,
        text: textOf.get(version),
      })),
    };
  }

  async search(search: Search): Promise<SearchPage> {
    const index = await this.#bodies.index();
    const { shown, next } = await this.#page(pageStatement(search, index), search.count);
    const included = await includedByRules(shown, search.includes, (statement) => this.#session.query(statement));
    return this.#open(shown, included, next && writePlace(next));
  }

  /** @throws KeywardError `FHIR_NOT_FOUND` | `FHIR_GONE` for a record that is not there */
  async everything(record: Address, request: EverythingRequest): Promise<SearchPage> {
    await this.#assertExists(record);
    const { shown, next } = await this.#page(everythingStatement(record, request), request.count);
    const along = await includedOfTypes(shown, typesAlong(record, request), request.since, (statement) =>
      this.#session.query(statement),
    );
    return this.#open(shown, along, next?.join('/'));
  }

  async #page(statement: Statement, count: number): Promise<{ shown: PageRow[]; next: readonly string[] | undefined }> {
    const rows = await this.#session.query<PageRow>(statement);
    const shown = rows.slice(0, count);
    return { shown, next: shown.length < (rows[0]?.found ?? 0) ? shown.at(-1)?.keys : undefined };
  }

  async #open(
    shown: readonly PageRow[],
    included: readonly IncludedRow[],
    next: string | undefined,
  ): Promise<SearchPage> {
    const along = included.length === 0 ? [] : await this.#session.query<SealedVersion>(bodiesStatement(included));
    const rows = [...shown, ...along];
    const texts = await this.#bodies.open(rows);
    const entries = rows.map(({ type, id }, place) => ({ type, id, text: texts[place] as string }));
    return { matches: entries.slice(0, shown.length), included: entries.slice(shown.length), next };
  }

  async #assertExists({ type, id }: Address): Promise<void> {
    const [row] = await this.#session.query<{ deleted: boolean }>({
      name: 'store-exists',
      text: 'SELECT deleted FROM resource WHERE type = $1 AND id = $2',
      values: [type, id],
    });
    if (!row) throw new KeywardError('FHIR_NOT_FOUND');
    if (row.deleted) throw new KeywardError('FHIR_GONE');
  }

  async count(search: Search): Promise<number> {
    const index = await this.#bodies.index();
    const [row] = await this.#session.query<{ total: number }>(countStatement(search, index));
    return row?.total ?? 0;
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
    const keys = await this.#bodies.keysToSeal();
    const lastUpdated = this.#clock.now();
    const address = { type: body.resourceType, id, version };
    const text = JSON.stringify(stamp(body, id, version, lastUpdated));
    const plain = JSON.parse(text) as Resource;
    const rows = indexRows(plain, indexedParameters(address.type).values(), keys.index);
    await this.#session.write({
      ...address,
      lastUpdated,
      method,
      body: this.#bodies.seal(keys.body, address, text),
      rows,
    });
    return { ...address, lastUpdated, text };
  }

  async #one(statement: Parameters<Session['query']>[0]): Promise<StoredVersion> {
    const [row] = await this.#session.query<VersionRow>(statement);
    if (!row) throw new KeywardError('FHIR_NOT_FOUND');
    if (!hasBody(row)) throw new KeywardError('FHIR_GONE');
    const [text] = await this.#bodies.open([row]);
    if (text === undefined) throw new KeywardError('STORE_NOT_AUTHENTIC');
    return { type: row.type, id: row.id, version: row.version, lastUpdated: row.last_updated, text };
  }
}

const hasBody = <Row extends VersionRow>(row: Row): row is Row & { readonly body: Buffer } => row.body !== null;

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
