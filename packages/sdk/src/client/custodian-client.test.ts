/** The custodian client against servers that lie, break off or fall silent. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { type DataKey, generateDataKey } from '../seal/index.ts';
import { createCustodianClient } from './custodian-client.ts';
import type { KeyUse } from './types.ts';

const USE: KeyUse = {
  tenant: 'clinic',
  subjects: ['a'],
  purpose: 'TREAT',
  correlationId: '00000000-0000-4000-8000-000000000001',
};
const CREDENTIAL = 'a-credential-that-must-not-show-up-anywhere';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(context: TestContext, handler: Handler): Promise<{ socketPath: string; server: Server }> {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-client-'));
  const socketPath = join(directory, 'custodian.sock');
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handler(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => void server.listen(socketPath, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { socketPath, server };
}

const clientOf = (socketPath: string, timeoutMs = 2000) =>
  createCustodianClient({ socketPath, credential: CREDENTIAL, timeoutMs });

const wire = (key: DataKey, id = key.id) => ({ id, secret: key.secret.export().toString('base64') });
const answer = (response: ServerResponse, body: unknown, status = 200) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

test('[K6] the client shows its credential, asks for what it was asked and returns the keys', async (context) => {
  const key = generateDataKey();
  const seen: unknown[] = [];
  const { socketPath } = await serve(context, (request, response, body) => {
    seen.push(request.method, request.url, request.headers.authorization, JSON.parse(body));
    answer(response, { keys: [{ ...wire(key), seals: 1 }] });
  });
  const [got] = await clientOf(socketPath).protect([{ kind: 'tenant' }], USE);
  assert.equal(got!.id, key.id);
  assert.ok(got!.secret.equals(key.secret));
  const body = { specs: [{ kind: 'tenant' }], use: USE, seals: [1] };
  assert.deepEqual(seen, ['POST', '/v1/keys/protect', `Bearer ${CREDENTIAL}`, body]);
});

const LIES: Record<string, (asked: DataKey, other: DataKey) => unknown> = {
  'another key under the id asked for': (asked, other) => ({ keys: [wire(other, asked.id)] }),
  'another key under its own id': (_asked, other) => ({ keys: [wire(other)] }),
  'a shorter key': (asked) => ({ keys: [{ id: asked.id, secret: 'AAAA' }] }),
  'one key too many': (asked, other) => ({ keys: [wire(asked), wire(other)] }),
  'no key': () => ({ keys: [] }),
};

for (const [name, lie] of Object.entries(LIES)) {
  test(`[E2] the client refuses ${name}`, async (context) => {
    const [asked, other] = [generateDataKey(), generateDataKey()];
    const { socketPath } = await serve(context, (_request, response) => answer(response, lie(asked, other)));
    await assert.rejects(clientOf(socketPath).process([asked.id], USE), { code: 'KEYS_NOT_AUTHENTIC' });
  });
}

test('[E2] the client refuses a key to protect with that does not match its own id', async (context) => {
  const [key, other] = [generateDataKey(), generateDataKey()];
  const { socketPath } = await serve(context, (_request, response) =>
    answer(response, { keys: [wire(key, other.id)] }),
  );
  await assert.rejects(clientOf(socketPath).protect([{ kind: 'tenant' }], USE), { code: 'KEYS_NOT_AUTHENTIC' });
});

test('[K3] the client refuses a key to protect with for which fewer seals were counted than asked for', async (context) => {
  const key = generateDataKey();
  const grants = [undefined, 4, 5];
  const { socketPath } = await serve(context, (_request, response) =>
    answer(response, { keys: [{ ...wire(key), seals: grants.shift() }] }),
  );
  const protect = () => clientOf(socketPath).protect([{ kind: 'tenant' }], USE, [5]);
  await assert.rejects(protect(), { code: 'KEYS_NOT_AUTHENTIC' });
  await assert.rejects(protect(), { code: 'KEYS_NOT_AUTHENTIC' });
  assert.equal((await protect())[0]!.seals, 5);
});

const NONSENSE: Record<string, [status: number, body: string]> = {
  'an answer that is not JSON': [200, '{"keys": [{"secret": "c2VjcmV0LXNlY3JldA'],
  'null instead of an answer': [200, 'null'],
  'keys that are no keys': [200, '{"keys": [null]}'],
  'an error without a code': [500, 'oops'],
  'an error with an unknown code': [418, '{"code": "TEAPOT"}'],
};

for (const [name, [status, body]] of Object.entries(NONSENSE)) {
  test(`[K6] ${name} means that the custodian is unavailable, and is not repeated in the error`, async (context) => {
    const { socketPath } = await serve(context, (_request, response) => void response.writeHead(status).end(body));
    const error = await clientOf(socketPath)
      .process(['0'.repeat(32)], USE)
      .catch((thrown: unknown) => thrown);
    assert.equal((error as { code?: string }).code, 'KEYS_UNAVAILABLE');
    assert.doesNotMatch(inspect(error, { depth: 9 }), new RegExp(`c2Vjc|oops|${CREDENTIAL}`));
  });
}

test('[K6] the code of a problem document is passed on', async (context) => {
  const { socketPath } = await serve(context, (_request, response) =>
    answer(response, { code: 'KEYS_FORBIDDEN' }, 403),
  );
  await assert.rejects(clientOf(socketPath).protect([{ kind: 'store' }], USE), {
    name: 'ClientError',
    code: 'KEYS_FORBIDDEN',
  });
});

test('[K6] a custodian that is not there, or falls silent, is unavailable', async (context) => {
  await assert.rejects(clientOf('/nonexistent/custodian.sock').protect([{ kind: 'tenant' }], USE), {
    code: 'KEYS_UNAVAILABLE',
  });
  const { socketPath } = await serve(context, () => undefined);
  await assert.rejects(clientOf(socketPath, 50).protect([{ kind: 'tenant' }], USE), { code: 'KEYS_UNAVAILABLE' });
});

test('[K6] a kept-alive connection that was dropped is replaced once', async (context) => {
  const key = generateDataKey();
  let requests = 0;
  const { socketPath } = await serve(context, (request, response) => {
    requests += 1;
    if (requests === 2) request.socket.destroy();
    else answer(response, { keys: [wire(key)] });
  });
  const client = clientOf(socketPath);
  await client.process([key.id], USE);
  assert.equal((await client.process([key.id], USE))[0]!.id, key.id);
  assert.equal(requests, 3);
});

test('[K6] a connection that breaks on its first request is not tried again', async (context) => {
  let requests = 0;
  const { socketPath } = await serve(context, (request) => {
    requests += 1;
    request.socket.destroy();
  });
  await assert.rejects(clientOf(socketPath).protect([{ kind: 'tenant' }], USE), { code: 'KEYS_UNAVAILABLE' });
  assert.equal(requests, 1);
});

test('[K6] a list longer than one call may carry is cut, and comes back whole and in order', async (context) => {
  const key = generateDataKey();
  const sizes: number[] = [];
  const { socketPath } = await serve(context, (_request, response, body) => {
    const { ids } = JSON.parse(body) as { ids: string[] };
    sizes.push(ids.length);
    answer(response, { keys: ids.map(() => wire(key)) });
  });
  const keys = await clientOf(socketPath).process(
    Array.from({ length: 2001 }, () => key.id),
    USE,
  );
  assert.equal(keys.length, 2001);
  assert.deepEqual(sizes, [1000, 1000, 1]);
});
