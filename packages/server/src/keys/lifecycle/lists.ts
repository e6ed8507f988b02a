/** What operators see of keys: everything but their bytes. */
import { KeywardError } from '../../core/index.ts';
import { parseKeyRef } from '../key-ref.ts';
import { query } from '../query.ts';
import { type Destruction, selectDestructions } from './destructions.ts';
import { type Hold, holdsOver } from './holds.ts';
import type { LifeParts } from './parts.ts';
import { type Acceptance, acceptancesOver } from './risks.ts';
import { canonicalRef, type KeyVersion, namesOf, selectKeks, selectPage, selectVersions } from './versions.ts';

export interface KeyFilter {
  /** Data keys of this kind one by one, instead of counts. */
  readonly kind?: string;
  readonly scope?: string;
  readonly state?: string;
  /** The keys behind this id. */
  readonly after?: string;
  readonly limit?: number;
}

type ShownVersion = Omit<KeyVersion, 'rivalled'>;

export interface KeyList {
  readonly keks: readonly ShownVersion[];
  readonly counts: readonly { readonly kind: string; readonly state: string; readonly keys: number }[];
  readonly keys: readonly ShownVersion[];
  /** Where the next page begins, when there is one. */
  readonly next: string | null;
}

interface Transition {
  readonly ref: string;
  readonly from: string | null;
  readonly to: string;
  readonly at: Date;
  readonly actor: string;
  readonly reason: string;
  readonly correlationId: string;
}

export interface KeyShown {
  readonly ref: string;
  readonly versions: readonly ShownVersion[];
  readonly transitions: readonly Transition[];
  readonly holds: readonly Hold[];
  readonly acceptances: readonly Acceptance[];
  readonly destructions: readonly DestructionShown[];
}

/** `certified`: its certificate can be asked for. */
type DestructionShown = Omit<Destruction, 'suspended' | 'alarmedAt' | 'signature' | 'tombstone' | 'certificate'> & {
  readonly certified: boolean;
};

export interface Lists {
  list(filter: KeyFilter): Promise<KeyList>;
  /** @throws KeywardError `KEYS_UNKNOWN_KEY` */
  show(target: string): Promise<KeyShown>;
  destructions(): Promise<DestructionShown[]>;
  /** @throws KeywardError `KEYS_UNKNOWN_RECORD` */
  certificate(destruction: string): Promise<NonNullable<Destruction['certificate']>>;
}

const PAGE_KEYS = 100;

const COUNTS = `
  SELECT kind, state, count(*)::integer AS keys FROM data_key WHERE tenant = $1 GROUP BY kind, state ORDER BY kind, state`;

export function createLists(parts: LifeParts): Lists {
  const { pool, tenant, clock } = parts;
  return {
    async list({ kind, limit = PAGE_KEYS, ...rest }) {
      const keys = kind === undefined ? [] : await selectPage(pool, tenant, { kind, limit, ...rest });
      return {
        keks: (await selectKeks(pool, tenant)).map(shown),
        counts: await query(pool, COUNTS, [tenant]),
        keys: keys.map(shown),
        next: keys.length < limit ? null : (keys.at(-1)?.id ?? null),
      };
    },
    async show(target) {
      const ref = canonicalRef(target);
      const versions = await selectVersions(pool, tenant, parseKeyRef(ref));
      if (versions.length === 0) throw new KeywardError('KEYS_UNKNOWN_KEY');
      const names = [...new Set([ref, ...versions.flatMap(namesOf)])];
      return {
        ref,
        versions: versions.map(shown),
        transitions: await transitionsOf(parts, versions),
        holds: await holdsOver(pool, tenant, versions),
        acceptances: await acceptancesOver(pool, tenant, versions, clock.now()),
        destructions: (await selectDestructions(pool, tenant, 'ofTarget', [names])).map(shownDestruction),
      };
    },
    destructions: async () => (await selectDestructions(pool, tenant, 'all')).map(shownDestruction),
    async certificate(destruction) {
      const [found] = await selectDestructions(pool, tenant, 'byId', [destruction]);
      if (!found?.certificate) throw new KeywardError('KEYS_UNKNOWN_RECORD');
      return found.certificate;
    },
  };
}

const TRANSITIONS = `
  SELECT coalesce('kek/' || kek_version, 'key/' || encode(key_id, 'hex')) AS ref, from_state AS "from", to_state AS "to",
    at, actor, reason, correlation_id AS "correlationId"
  FROM key_transition WHERE tenant = $1 AND (kek_version = ANY ($2::integer[]) OR key_id = ANY ($3::bytea[]))
  ORDER BY at, sequence`;

function transitionsOf({ pool, tenant }: LifeParts, versions: readonly KeyVersion[]): Promise<Transition[]> {
  const keks = versions.filter(({ kind }) => kind === 'kek').map(({ kekVersion }) => kekVersion);
  const ids = versions.filter(({ kind }) => kind !== 'kek').map(({ id }) => Buffer.from(id, 'hex'));
  return query<Transition & Record<string, unknown>>(pool, TRANSITIONS, [tenant, keks, ids]);
}

function shown(version: KeyVersion): ShownVersion {
  const { rivalled: _rivalled, ...rest } = version;
  return rest;
}

function shownDestruction(destruction: Destruction): DestructionShown {
  const {
    suspended: _ids,
    alarmedAt: _alarm,
    signature: _signature,
    tombstone: _tombstone,
    certificate,
    ...rest
  } = destruction;
  return { ...rest, certified: certificate !== null };
}
