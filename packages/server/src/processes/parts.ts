/** Parts that several processes are made of: keys from the custodian, the ledger, tokens, and whether each part answers. */
import { createCustodianClient, createKeyCache, type KeyCacheOptions, type KeyService } from '@keyward/sdk/client';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { Pool as HttpPool } from 'undici';
import { type Config, readOrCreateSecret } from '../config/index.ts';
import { type AuditSink, type DataPaths, newUuid, systemClock } from '../core/index.ts';
import { connectionFor, type DatabaseUser, openPool } from '../db/index.ts';
import { createTokenVerifier, developmentPublicKey, type TokenVerifier } from '../identity/index.ts';
import { createLedger, type Ledger } from '../ledger/index.ts';
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
  const named = [
    gateway.publicUrl === undefined ? 'localhost' : new URL(gateway.publicUrl).hostname,
    gateway.host,
    admin.host,
  ];
  const wildcards = new Set(['0.0.0.0', '::']);
  return [...new Set(['localhost', '127.0.0.1', '::1', ...named])].filter((host) => !wildcards.has(host));
}

export const custodianSocket = (paths: DataPaths): string => join(paths.sockets, 'custodian.sock');
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

/** Keys as one process may have them. */
export function openKeys({ config, paths }: ProcessContext, caller: 'gateway' | 'store' | 'admin'): KeyService {
  const client = createCustodianClient({
    socketPath: custodianSocket(paths),
    credential: readOrCreateSecret(paths, `custodian-${caller}`),
    timeoutMs: CUSTODIAN_TIMEOUT_MS,
  });
  return createKeyCache(client, keyCacheOptions(config));
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

export function openProbe(origin: string, path: string, connect: { socketPath?: string; ca?: string }): Probe {
  const { socketPath, ca } = connect;
  const pool = new HttpPool(origin, {
    connections: 1,
    headersTimeout: PROBE_TIMEOUT_MS,
    bodyTimeout: PROBE_TIMEOUT_MS,
    ...(socketPath ? { socketPath } : {}),
    ...(ca ? { connect: { ca } } : {}),
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
