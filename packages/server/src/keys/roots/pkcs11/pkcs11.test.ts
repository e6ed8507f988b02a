/** The PKCS#11 root against SoftHSM2: the conformance of all roots, and what is special about a token. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeywardError } from '../../../core/index.ts';
import { testLog } from '../../testing.ts';
import { testRootConformance } from '../conformance.ts';
import type { Root, RootConfigOf } from '../root.ts';
import { CK } from './binding.ts';
import type { TokenSettings } from './messages.ts';
import { pkcs11Root } from './pkcs11.ts';
import {
  administer,
  libraryHangs,
  loadLibrary,
  makeToken,
  prepareSoftHsm,
  skipReason,
  type SoftToken,
  tokensAway,
} from './testing.ts';
import { openToken as openTokenHere } from './token.ts';
import { createTokenClient } from './token-client.ts';

const AAD = Buffer.from('aad');
const skip = skipReason ?? false;
const directory = mkdtempSync(join(tmpdir(), 'keyward-softhsm-'));
prepareSoftHsm(directory);
after(() => rmSync(directory, { recursive: true, force: true }));

type Settings = RootConfigOf<'pkcs11'>;

const configOf = ({ module, label, pinFile }: SoftToken, changes: Partial<Settings> = {}): Settings => ({
  provider: 'pkcs11',
  module,
  token: label,
  key: 'keyward-root',
  pin: { file: pinFile },
  mechanism: 'aes-gcm',
  ...changes,
});

async function openToken(context: TestContext, config: Settings): Promise<Root> {
  const root = await pkcs11Root.open(config, { log: testLog(), directory: '' });
  context.after(() => root.close());
  return root;
}

/** Processes of this test that serve a token. */
async function tokenProcesses(): Promise<number[]> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('ps', ['-A', '-ww', '-o', 'pid=,ppid=,args='], { maxBuffer: 1 << 24 }, (_error, stdout) => {
      const rows = stdout.split('\n').map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line));
      const ours = rows.filter((row) => Number(row?.[2]) === process.pid && row?.[3]?.includes('token-process.ts'));
      resolve(ours.map((row) => Number(row?.[1])));
    });
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, 'not in time');
    await sleep(20);
  }
}

for (const mechanism of ['aes-gcm', 'aes-key-wrap-pad'] as const) {
  testRootConformance(`pkcs11 ${mechanism}`, {
    skip: skipReason,
    async open(context) {
      const token = makeToken(context);
      const config = configOf(token, { mechanism });
      const rights = mechanism === 'aes-gcm' ? [CK.CKA_ENCRYPT, CK.CKA_DECRYPT] : [CK.CKA_WRAP, CK.CKA_UNWRAP];
      const permit = async (value: boolean) => administer(token).set(rights.map((type) => ({ type, value })));
      let hanging: ReturnType<typeof libraryHangs> | undefined;
      let away: ReturnType<typeof tokensAway> | undefined;
      return {
        root: await openToken(context, config),
        reopen: () => openToken(context, config),
        expected: { provider: 'pkcs11', hardware: false, exportable: false },
        credentials: [token.pin],
        key: { disable: () => permit(false), enable: () => permit(true) },
        line: {
          async stall() {
            hanging = libraryHangs(directory);
            for (const pid of await tokenProcesses()) process.kill(pid, 'SIGSTOP');
          },
          // The HSM is pulled out, and the sessions with it.
          async cut() {
            away = tokensAway(directory);
            for (const pid of await tokenProcesses()) process.kill(pid, 'SIGKILL');
          },
          mend() {
            hanging?.over();
            hanging = undefined;
            away?.back();
            away = undefined;
          },
        },
      };
    },
  });
}

test('[K2] the key is made in the token when the first KEK is wrapped, and cannot leave it', {
  skip,
}, async (context) => {
  const token = makeToken(context);
  const root = await openToken(context, configOf(token));
  await assert.rejects(async () => administer(token).read(CK.CKA_LABEL));
  const wrapped = await root.wrap(randomBytes(32), AAD);
  const admin = administer(token);
  const flags = [CK.CKA_SENSITIVE, CK.CKA_ALWAYS_SENSITIVE, CK.CKA_NEVER_EXTRACTABLE, CK.CKA_LOCAL, CK.CKA_EXTRACTABLE];
  assert.deepEqual(
    flags.map((type) => admin.read(type)?.[0]),
    [1, 1, 1, 1, 0],
  );
  assert.throws(() => admin.read(CK.CKA_VALUE), /CKR_ATTRIBUTE_SENSITIVE/);
  assert.equal((await root.unwrap(wrapped, AAD)).length, 32);
});

test('[K8] a key that is lost is not replaced when something is to be unwrapped', { skip }, async (context) => {
  const wrapped = await (await openToken(context, configOf(makeToken(context)))).wrap(randomBytes(32), AAD);
  const token = makeToken(context);
  const other = await openToken(context, configOf(token));
  await assert.rejects(other.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_MISMATCH' });
  await assert.rejects(async () => administer(token).read(CK.CKA_LABEL));
});

const UNFIT: Record<string, { type: number; value: Buffer | number | boolean }[]> = {
  'can leave the token': [
    { type: CK.CKA_VALUE_LEN, value: 32 },
    { type: CK.CKA_EXTRACTABLE, value: true },
    { type: CK.CKA_SENSITIVE, value: true },
  ],
  'was made outside the token': [
    { type: CK.CKA_VALUE, value: Buffer.alloc(32, 7) },
    { type: CK.CKA_EXTRACTABLE, value: false },
    { type: CK.CKA_SENSITIVE, value: true },
  ],
  'has 128 bits': [
    { type: CK.CKA_VALUE_LEN, value: 16 },
    { type: CK.CKA_EXTRACTABLE, value: false },
    { type: CK.CKA_SENSITIVE, value: true },
  ],
};

for (const [what, template] of Object.entries(UNFIT)) {
  test(`[K2] a key in the token that ${what} is refused`, { skip }, async (context) => {
    const token = makeToken(context);
    administer(token).make('keyward-root', template);
    const root = await openToken(context, configOf(token));
    await assert.rejects(root.wrap(randomBytes(32), AAD), { code: 'KEYS_ROOT_UNUSABLE' });
  });
}

test('[K9] another key under the same label is told from an altered KEK', { skip }, async (context) => {
  const label = randomBytes(6).toString('hex');
  const wrapped = await (await openToken(context, configOf(makeToken(context, label)))).wrap(randomBytes(32), AAD);
  const away = tokensAway(directory);
  context.after(() => away.back());
  const token = makeToken(context, label);
  const root = await openToken(context, configOf(token));
  await root.wrap(randomBytes(32), AAD);
  await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_MISMATCH' });
});

test('[K9] a wrong PIN is refused, and not tried again before it changes', { skip }, async (context) => {
  const token = makeToken(context);
  const config = configOf(token);
  const root = await openToken(context, config);
  await root.wrap(randomBytes(32), AAD);
  writeFileSync(token.pinFile, 'wrong-pin');
  for (const pid of await tokenProcesses()) process.kill(pid, 'SIGKILL');
  const told = () => root.wrap(randomBytes(32), AAD).catch((thrown: unknown) => (thrown as KeywardError).code);
  await until(async () => (await told()) === 'KEYS_ROOT_REFUSED');
  await until(async () => (await tokenProcesses()).length === 0);
  assert.equal(await told(), 'KEYS_ROOT_REFUSED');
  assert.deepEqual(await tokenProcesses(), []);
  writeFileSync(token.pinFile, token.pin);
  await root.wrap(randomBytes(32), AAD);
});

const WRONG: Record<string, { readonly change: Partial<Settings>; readonly code: string }> = {
  'a library that is not there': { change: { module: '/nowhere.so' }, code: 'KEYS_ROOT_UNUSABLE' },
  'a token that is not there': { change: { token: 'nobody' }, code: 'KEYS_ROOT_UNAVAILABLE' },
  'a PIN that nobody may read': { change: { pin: { file: '/nowhere' } }, code: 'CONFIG_SECRET_UNREADABLE' },
};

for (const [what, { change, code }] of Object.entries(WRONG)) {
  test(`[K9] ${what} is told when the root is opened`, { skip }, async (context) => {
    await assert.rejects(openToken(context, { ...configOf(makeToken(context)), ...change }), { code });
  });
}

test('[K9] a binding that is not installed is told with the line that installs it', { skip }, async (context) => {
  const nodePath = process.env['NODE_PATH'];
  delete process.env['NODE_PATH'];
  context.after(() => (process.env['NODE_PATH'] = nodePath));
  await assert.rejects(openToken(context, configOf(makeToken(context))), /KEYS_ROOT_UNUSABLE.+npm install pkcs11js/);
});

test('[K10] the token process ends with the root', { skip }, async (context) => {
  const root = await openToken(context, configOf(makeToken(context)));
  const before = await tokenProcesses();
  await root.close();
  await until(async () => (await tokenProcesses()).length === before.length - 1);
});

const settingsOf = ({ module, label, pin }: SoftToken): TokenSettings => ({
  module,
  token: label,
  key: 'keyward-root',
  mechanism: 'aes-gcm',
  pin,
});

const ASKED = Buffer.alloc(64, 1);

test('[K9] a start that is slow goes on while attempts are given up, and serves when it is done', {
  skip,
}, async (context) => {
  const client = createTokenClient(() => settingsOf(token));
  const token = makeToken(context);
  const hanging = libraryHangs(directory);
  context.after(() => client.close());
  const startedBy = client.open();
  const pid = client.pid();
  for (let attempt = 0; attempt < 3; attempt += 1)
    await assert.rejects(client.ask('encrypt', ASKED, AbortSignal.timeout(20)), { code: 'KEYS_ROOT_UNAVAILABLE' });
  hanging.over();
  await startedBy;
  await client.ask('encrypt', ASKED);
  assert.equal(client.pid(), pid);
});

test('[K9] a start that does not end is given up, and the next one serves', { skip }, async (context) => {
  const token = makeToken(context);
  const client = createTokenClient(() => settingsOf(token), 200);
  const patient = createTokenClient(() => settingsOf(token));
  context.after(() => Promise.all([client.close(), patient.close()]));
  const hanging = libraryHangs(directory);
  await assert.rejects(client.open(), { code: 'KEYS_ROOT_UNAVAILABLE' });
  hanging.over();
  await patient.ask('encrypt', ASKED);
});

test('[K2] of two custodians that make the key at once, one takes its own away again and uses the other', {
  skip,
}, async (context) => {
  const token = makeToken(context);
  const library = loadLibrary();
  const generate = library.C_GenerateKey.bind(library);
  // The other one is done between the look and the making.
  library.C_GenerateKey = (session, mechanism, template) => {
    library.C_GenerateKey = generate;
    const other = template.map((each) => (each.type === CK.CKA_ID ? { ...each, value: Buffer.alloc(16, 7) } : each));
    generate(session, mechanism, other);
    return generate(session, mechanism, template);
  };
  context.after(() => library.C_Finalize());
  const here = openTokenHere(library, settingsOf(token));
  const [secret, bound] = [randomBytes(32), randomBytes(32)];
  assert.throws(() => here.encrypt(secret, bound), { message: 'KEY_RACE' });
  const encrypted = here.encrypt(secret, bound);
  assert.deepEqual(encrypted.subarray(1, 17), Buffer.alloc(16, 7));
  assert.deepEqual(here.decrypt(encrypted, bound), secret);
});
