/** Parts that several processes are made of: keys from the custodian, the ledger, tokens, and whether each part answers. */
import {
  createCustodianClient,
  createKeyCache,
  type KeyCacheOptions,
  type KeyService,
  type NewsListener,
} from '@keyward/sdk/client';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { Pool as HttpPool } from 'undici';
import type { Config } from '../config/index.ts';
import { type AuditSink, type DataPaths, newUuid, systemClock } from '../core/index.ts';
import { connectionFor, type DatabaseUser, openPool } from '../db/index.ts';
import { createTokenVerifier, developmentPublicKey, type TokenVerifier } from '../identity/index.ts';
import { createLedger, type Ledger } from '../ledger/index.ts';
import { custodianAddress, custodianConnection, type CustodianClientName } from './custodian-line.ts';
import type { ProcessContext, ProcessName } from './process.ts';

const LOCAL: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost', '0.0.0.0', '::']);

/** Where the listeners are reached from this host. */
export function originsOf({ gateway, admin }: Config): { gateway: string; admin: string } {
  const origin = ({ host, port }: { host: string; port: number }) => {
    const name = LOCAL.has(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host;
    return `https://${name}:${port}`;
  };
  return { gateway: origin(gateway), admin: origin(admin) };
}

/** Records that a process began or ended to serve; when that fails, it does not serve. */
export const recordProcess = (audit: AuditSink, tenant: string, name: ProcessName, interaction: 'start' | 'stop') =>
  audit.record([
    {
      id: newUuid(),
      at: systemClock.now(),
      class: 'admin',
      tenant,
      correlationId: newUuid(),
      actor: { sub: name },
      interaction: `process.${interaction}`,
      decision: 'permit',
      rule: 'none',
    },
  ]);

/** Names the server certificate is good for: this host's, and those clients are told to use. */
export function serverHosts({ gateway, admin }: Config): string[] {
  const { publicUrl, host } = gateway;
  return listenerHosts([publicUrl === undefined ? 'localhost' : new URL(publicUrl).hostname, host, admin.host]);
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** These and the local ones; an address that means all of them is none. */
export const listenerHosts = (named: readonly string[]): string[] =>
  [...new Set(['localhost', '127.0.0.1', '::1', ...named])].filter((host) => !WILDCARDS.has(host));

export const storeSocket = (paths: DataPaths): string => join(paths.sockets, 'store.sock');

/** Longest a request waits for the custodian. */
const CUSTODIAN_TIMEOUT_MS = 5_000;
const PROBE_TIMEOUT_MS = 2_000;
/** Entries in one group commit. */
const LEDGER_MAX_BATCH = 500;

/** How long, how often and how many keys one process may hold. */
export function keyCacheOptions({ keys }: Config): KeyCacheOptions {
  const { cacheMaxAgeMs: maxAgeMs, cacheMaxUses: maxHandouts, cacheMaxKeys: maxKeys } = keys;
  return { maxAgeMs, maxHandouts, maxKeys, now: () => performance.now() };
}

/**
 * Keys as one process may have them. They are held until their bounds, or until the custodian tells that they changed.
 * @param also hears the same
 */
export function openKeys(context: ProcessContext, caller: CustodianClientName, also?: NewsListener): KeyService {
  const { config, log } = context;
  const client = createCustodianClient({ ...custodianAddress(context, caller), timeoutMs: CUSTODIAN_TIMEOUT_MS });
  const cache = createKeyCache(client, keyCacheOptions(config));
  const listener: NewsListener = {
    forget(news) {
      cache.forget(news);
      also?.forget(news);
    },
    clear() {
      cache.clear();
      also?.clear();
    },
  };
  client.follow(listener, (hearing) => {
    if (hearing) log.info('news of keys are heard');
    else log.warn('news of keys are not heard; held keys serve until their bounds');
  });
  return cache;
}

export const openDatabase = (paths: DataPaths, user: DatabaseUser, max: number): Pool =>
  openPool(connectionFor(paths, user), { max, applicationName: `keyward ${user}` });

export const openLedger = ({ config, log }: ProcessContext, pool: Pool, keys: KeyService): Ledger =>
  createLedger({
    pool,
    keys,
    tenant: config.tenant,
    clock: systemClock,
    log,
    deadlineMs: config.ledger.deadlineMs,
    maxBatch: LEDGER_MAX_BATCH,
  });

export function openVerifier({ config, paths }: ProcessContext): TokenVerifier {
  const { audience, issuers } = config.identity;
  const developmentKey = issuers.length === 0 ? developmentPublicKey(paths) : undefined;
  return createTokenVerifier({ audience, issuers, developmentKey, clock: systemClock });
}

export interface Probe {
  /** Whether the address answered 200 within two seconds. */
  answers(): Promise<boolean>;
  close(): Promise<void>;
}

export function openCustodianProbe(context: ProcessContext, caller: CustodianClientName): Probe {
  const { origin, connect } = custodianConnection(context, caller);
  return openProbe(origin, '/readyz', connect);
}

export function openProbe(origin: string, path: string, connect: HttpPool.Options['connect']): Probe {
  const pool = new HttpPool(origin, {
    connections: 1,
    headersTimeout: PROBE_TIMEOUT_MS,
    bodyTimeout: PROBE_TIMEOUT_MS,
    ...(connect ? { connect } : {}),
  });
  return {
    async answers() {
      try {
        const { statusCode, body } = await pool.request({ method: 'GET', path });
        await body.dump();
        return statusCode === 200;
      } catch {
        return false;
      }
    },
    close: () => pool.destroy(),
  };
}

export const databaseAnswers = (pool: Pool): Promise<boolean> =>
  pool.query('SELECT 1').then(
    () => true,
    () => false,
  );
