/** For tests of the CLI: a data directory with real certificates and tokens, a real admin server, and a small FHIR server in the gateway's place. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Json } from '@keyward/sdk/seal';
import { type AdminServer, createAdminServer, type KeyCall } from '../admin/index.ts';
import { ensureServerCertificate } from '../ca/index.ts';
import { createLog, type DataPaths, dataPaths, KeywardError, systemClock } from '../core/index.ts';
import {
  createDevelopmentKey,
  createTokenVerifier,
  developmentPublicKey,
  mintDevelopmentToken,
} from '../identity/index.ts';
import type { KeyUses, LedgerEntry, TailQuery } from '../ledger/index.ts';
import { createCatalogue } from '../phi/index.ts';
import { runCli } from './cli.ts';
import type { CliServices } from './context.ts';
import { writeInstance } from './instance.ts';
import type { Terminal } from './terminal.ts';

const AUDIENCE = 'keyward';

interface Result {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** What the stand-in for the gateway is asked, and what it answers. */
export interface FhirCall {
  readonly method: string;
  readonly path: string;
  /** The body's text as it arrived. */
  readonly body: string;
  readonly role: string;
}
export interface FhirReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export interface World extends AsyncDisposable {
  readonly directory: string;
  readonly paths: DataPaths;
  /** Replaced by tests that need other answers. */
  fhir: (call: FhirCall) => FhirReply;
  tail: (query: TailQuery) => readonly LedgerEntry[];
  atRest: unknown;
  /** In the custodian's place. */
  keys: (call: KeyCall) => unknown;
  uses: KeyUses;
  services: CliServices;
  /** Presses Ctrl-C in the command that runs. */
  interrupt(): void;
  /** Runs `keyward ARGS --data-dir DIRECTORY`. */
  keyward(...args: string[]): Promise<Result>;
}

/** With `running: false` there is a data directory and no instance. */
export async function openWorld({ running = true } = {}): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-cli-'));
  const paths = dataPaths(directory);
  const interrupts = new Set<() => void>();
  const closers: (() => Promise<unknown>)[] = [async () => rmSync(directory, { recursive: true })];
  const world: World = {
    directory,
    paths,
    fhir: () => ({ status: 404 }),
    tail: () => [],
    atRest: undefined,
    keys: () => ({}),
    uses: { uses: [], unreadable: 0 },
    services: servicesOf(paths),
    interrupt: () => interrupts.forEach((listener) => listener()),
    keyward: (...args) => runCaptured([...args, '--data-dir', directory], world.services, interrupts),
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
  if (running) closers.unshift(...(await start(world, paths)));
  return world;
}

async function start(world: World, paths: DataPaths): Promise<(() => Promise<unknown>)[]> {
  const tls = await ensureServerCertificate({ paths, clock: systemClock });
  createDevelopmentKey(paths);
  const verifier = createTokenVerifier({
    audience: AUDIENCE,
    issuers: [],
    developmentKey: developmentPublicKey(paths),
    clock: systemClock,
  });
  const gateway = createServer({ cert: tls.certificate, key: tls.privateKey }, (request, response) => {
    const answer = async () => {
      const { role } = await verifier.verify(request.headers.authorization, '127.0.0.1');
      const call = { method: request.method ?? '', path: request.url ?? '', body: await text(request), role };
      const { status = 200, headers = {}, body = {} } = world.fhir(call);
      response.writeHead(status, headers).end(JSON.stringify(body));
    };
    if (request.url === '/readyz') response.end('{}');
    else answer().catch(() => response.writeHead(500).end());
  });
  const gatewayPort = await listening(gateway);
  const admin: AdminServer = createAdminServer({
    tls,
    tenant: 'default',
    verify: (authorization, address) => verifier.verify(authorization, address),
    services: {
      tailLedger: async (query) => world.tail(query),
      atRest: async () => world.atRest,
      manageKeys: async (call) => world.keys(call),
      usesOfKeys: async () => world.uses,
      ready: async () => ({ ledger: true }),
    },
    audit: { record: async () => undefined },
    log: createLog('admin', { write: () => undefined }),
  });
  const adminPort = await admin.listen({ host: '127.0.0.1', port: 0 });
  const urls = { gatewayUrl: `https://localhost:${gatewayPort}`, adminUrl: `https://localhost:${adminPort}` };
  writeInstance(paths, { pid: process.pid, ...urls, ready: true });
  return [() => admin.close(), () => new Promise((resolve) => gateway.close(resolve).closeAllConnections())];
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function servicesOf(paths: DataPaths): CliServices {
  return {
    up: async () => undefined,
    processes: [],
    mintToken: (options) => mintDevelopmentToken(paths, { ...options, audience: AUDIENCE }, systemClock),
    explainConfig: () => [],
    sealing: () => ({ catalogue: createCatalogue(), openedBy: () => ['clinician'] }),
    doctorFacts: () => ({ gatewayPort: 0, adminPort: 0 }),
    describeRoot: async () => ({ provider: 'local', key: 'ab12', hardware: false, exportable: true }),
    restoreKeys: () => Promise.reject(new KeywardError('KEYS_RESTORE_REFUSED')),
    rehearseRecovery: () => Promise.reject(new KeywardError('KEYS_BACKUP_INVALID')),
    acceptRollback: () => Promise.reject(new KeywardError('KEYS_BACKUP_INVALID')),
    postgresVersion: async () => 'postgres (PostgreSQL) 18.4',
    sealEngine: () => 'typescript',
  };
}

/** One run of the real program; its output is kept instead of shown. */
async function runCaptured(argv: string[], services: CliServices, interrupts: Set<() => void>): Promise<Result> {
  const kept = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    write: (written: string) => void (kept[name] += written),
    isTty: false,
    columns: 100,
  });
  const terminal: Terminal = {
    out: output('out'),
    err: output('err'),
    onInterrupt(listener) {
      interrupts.add(listener);
      return () => void interrupts.delete(listener);
    },
  };
  const status = await runCli(argv, services, { terminal, clock: systemClock, env: { NO_COLOR: '1' } });
  return { status, ...kept };
}
