/** The transit root against OpenBao: the conformance of all roots, and what is special about it. */
import assert from 'node:assert/strict';
import { createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { testDirectory, testLog } from '../../testing.ts';
import { testRootConformance } from '../conformance.ts';
import type { RootConfigOf } from '../root.ts';
import { startLine } from '../testing.ts';
import { installOpenBao, type OpenBao, policyFor, startOpenBao } from './testing.ts';
import { transitRoot } from './transit.ts';

const AAD = Buffer.from('aad');
const installed = installOpenBao();
const skip = 'missing' in installed ? installed.missing : false;
let bao: OpenBao;

before(async () => {
  if ('program' in installed) bao = await startOpenBao(installed.program);
});
after(() => bao?.stop());

interface Granted {
  readonly config: RootConfigOf<'transit'>;
  readonly token: string;
  readonly key: string;
}

/** A key and a token that may use it, both new. */
async function grant(context: TestContext, port: number, settings: object = {}): Promise<Granted> {
  const key = `keyward-${randomBytes(6).toString('hex')}`;
  await bao.admin('POST', `transit/keys/${key}`, settings);
  await bao.admin('POST', `sys/policies/acl/${key}`, { policy: policyFor(key) });
  const { auth } = await bao.admin('POST', 'auth/token/create', { policies: [key], no_parent: true });
  const token = (auth as { client_token: string }).client_token;
  const file = join(testDirectory(context), 'token');
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  const address = `http://127.0.0.1:${port}`;
  return { config: { provider: 'transit', address, key, mount: 'transit', token: { file } }, token, key };
}

async function openTransit(context: TestContext, config: RootConfigOf<'transit'>) {
  const root = await transitRoot.open(config, { log: testLog(), directory: '' });
  context.after(() => root.close());
  return root;
}

testRootConformance('transit', {
  skip: skip || undefined,
  async open(context) {
    const line = await startLine(bao.port);
    context.after(() => line.close());
    const { config, token, key } = await grant(context, line.port);
    return {
      root: await openTransit(context, config),
      reopen: () => openTransit(context, config),
      expected: { provider: 'transit', hardware: false, exportable: false },
      credentials: [token],
      line,
      key: {
        disable: async () => void (await bao.admin('DELETE', `sys/policies/acl/${key}`)),
        enable: async () => void (await bao.admin('POST', `sys/policies/acl/${key}`, { policy: policyFor(key) })),
      },
    };
  },
});

const UNFIT: Record<string, { readonly made: object; readonly set?: object }> = {
  'can be exported': { made: { exportable: true } },
  'can be backed up in plaintext': { made: { allow_plaintext_backup: true } },
  'may be deleted': { made: {}, set: { deletion_allowed: true } },
  'is of another type': { made: { type: 'chacha20-poly1305' } },
  'derives keys by context': { made: { derived: true } },
};

for (const [what, { made, set }] of Object.entries(UNFIT)) {
  test(`[K2] a transit key that ${what} is refused`, { skip }, async (context) => {
    const { config, key } = await grant(context, bao.port, made);
    if (set) await bao.admin('POST', `transit/keys/${key}/config`, set);
    await assert.rejects(openTransit(context, config), { code: 'KEYS_ROOT_UNUSABLE' });
  });
}

test('[K2] a transit key that was made outside the server is refused', { skip }, async (context) => {
  const { config } = await grant(context, bao.port);
  const { data } = await bao.admin('GET', 'transit/wrapping_key');
  const carrier = randomBytes(32);
  const cipher = createCipheriv('id-aes256-wrap-pad', carrier, Buffer.from('a65959a6', 'hex'));
  const key = Buffer.concat([cipher.update(randomBytes(32)), cipher.final()]);
  const oaep = { key: (data as { public_key: string }).public_key, oaepHash: 'sha256' };
  const ciphertext = Buffer.concat([publicEncrypt(oaep, carrier), key]).toString('base64');
  const body = { type: 'aes256-gcm96', hash_function: 'SHA256', ciphertext };
  await bao.admin('POST', `transit/keys/${config.key}-imported/import`, body);
  await bao.admin('POST', `sys/policies/acl/${config.key}`, { policy: policyFor(`${config.key}-imported`) });
  const imported = { ...config, key: `${config.key}-imported` };
  await assert.rejects(openTransit(context, imported), /KEYS_ROOT_UNUSABLE.+outside the server/);
});

test('[K9] a transit key that is not there is refused, and not made', { skip }, async (context) => {
  const { config, key } = await grant(context, bao.port);
  await bao.admin('POST', `transit/keys/${key}/config`, { deletion_allowed: true });
  await bao.admin('DELETE', `transit/keys/${key}`);
  await assert.rejects(openTransit(context, config), { code: 'KEYS_ROOT_REFUSED' });
  await assert.rejects(bao.admin('GET', `transit/keys/${key}`), /404/);
});

test('[K9] what was wrapped under an earlier version of the transit key unwraps', { skip }, async (context) => {
  const { config, key } = await grant(context, bao.port);
  const root = await openTransit(context, config);
  const wrapped = await root.wrap(Buffer.alloc(32, 7), AAD);
  await bao.admin('POST', `transit/keys/${key}/rotate`);
  assert.deepEqual(await root.unwrap(wrapped, AAD), Buffer.alloc(32, 7));
});

test('[K9] a token that an agent renewed in its file is used without a restart', { skip }, async (context) => {
  const first = await grant(context, bao.port);
  const root = await openTransit(context, first.config);
  await bao.admin('POST', 'auth/token/revoke', { token: first.token });
  await assert.rejects(root.wrap(Buffer.alloc(32), AAD), { code: 'KEYS_ROOT_REFUSED' });
  const { auth } = await bao.admin('POST', 'auth/token/create', { policies: [first.key], no_parent: true });
  const { file } = first.config.token as { file: string };
  writeFileSync(file, (auth as { client_token: string }).client_token);
  await root.wrap(Buffer.alloc(32), AAD);
});

test('[K9] a server that is sealed is an outage, not a refusal', { skip }, async (context) => {
  assert.ok('program' in installed);
  const other = await startOpenBao(installed.program);
  context.after(() => other.stop());
  const { config } = await grant(context, bao.port);
  const root = await openTransit(context, config);
  await other.admin('PUT', 'sys/seal');
  const { port } = other;
  const address = `http://127.0.0.1:${port}`;
  await assert.rejects(openTransit(context, { ...config, address }), { code: 'KEYS_ROOT_UNAVAILABLE' });
  await root.wrap(Buffer.alloc(32), AAD);
});
