/** SoftHSM2 for the tests: a token of its own for each, and its administrator. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pkcs11Binding } from '../../../../../../test/support/backends.ts';
import { testDirectory } from '../../testing.ts';
import { CK, type Handle, type Pkcs11 } from './binding.ts';

/** Where Debian, Fedora and Homebrew put it. */
const LIBRARIES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

const library = LIBRARIES.find((path) => existsSync(path));
const binding = library ? pkcs11Binding() : { missing: 'SoftHSM2 is not installed (apt-get install softhsm2)' };

/** Why it cannot be tested here. */
export const skipReason: string | undefined = 'missing' in binding ? binding.missing : undefined;

/** The library of the whole test process: its tokens lie in one folder, since it reads its settings once. */
export function prepareSoftHsm(directory: string): void {
  if ('missing' in binding) return;
  mkdirSync(join(directory, 'tokens'));
  const conf = join(directory, 'softhsm2.conf');
  writeFileSync(conf, `directories.tokendir = ${join(directory, 'tokens')}\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = conf;
  process.env['NODE_PATH'] = binding.nodePath;
}

/** Programs of the machine, which no package brings. */
function runProgram(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

export interface SoftToken {
  readonly module: string;
  readonly label: string;
  readonly pin: string;
  readonly pinFile: string;
}

export function makeToken(context: TestContext, label = randomBytes(6).toString('hex')): SoftToken {
  const pin = randomBytes(6).toString('hex');
  const args = ['--init-token', '--free', '--label', label, '--so-pin', 'so-12345678', '--pin', pin];
  runProgram('softhsm2-util', args);
  const pinFile = join(testDirectory(context), 'pin');
  writeFileSync(pinFile, pin, { mode: 0o600 });
  return { module: library ?? '', label, pin, pinFile };
}

/** All tokens are gone, as when the HSM is pulled out; and back. */
export function tokensAway(directory: string): { back(): void } {
  const [here, away] = [join(directory, 'tokens'), join(directory, 'away')];
  renameSync(here, away);
  mkdirSync(here);
  return {
    back() {
      renameSync(here, join(directory, `empty-${randomBytes(4).toString('hex')}`));
      renameSync(away, here);
    },
  };
}

/** Whoever loads the library from now on hangs in it: it waits for its settings, and goes on when they come. */
export function libraryHangs(directory: string): { over(): void } {
  const [conf, kept] = [join(directory, 'softhsm2.conf'), join(directory, 'softhsm2.kept')];
  renameSync(conf, kept);
  runProgram('mkfifo', [conf]);
  return {
    over() {
      // Open for reading too: it does not wait for whoever reads.
      const pipe = openSync(conf, 'r+');
      writeSync(pipe, readFileSync(kept));
      renameSync(kept, conf);
      closeSync(pipe);
    },
  };
}

export interface TokenAdmin {
  /** Sets attributes of the one key in the token. */
  set(template: { type: number; value: boolean }[]): void;
  read(type: number): Buffer | undefined;
  /** Makes a key as somebody careless would. */
  make(label: string, template: { type: number; value: Buffer | number | boolean }[]): void;
}

interface AdminLibrary extends Pkcs11 {
  C_SetAttributeValue(session: Handle, object: Handle, template: { type: number; value: boolean }[]): void;
  C_CloseSession(session: Handle): void;
}

/** The binding in the test's own process. */
export function loadLibrary(): AdminLibrary {
  const nodePath = 'missing' in binding ? '' : binding.nodePath;
  const { PKCS11 } = createRequire(join(nodePath, 'x'))(join(nodePath, 'pkcs11js')) as {
    PKCS11: new () => AdminLibrary;
  };
  return new PKCS11();
}

/** A session of the test's own; each call opens and closes everything, so that it sees what others did. */
export function administer({ module, label, pin }: SoftToken): TokenAdmin {
  const inSession = <T>(run: (pkcs11: AdminLibrary, session: Handle, key: () => Handle) => T): T => {
    const pkcs11 = loadLibrary();
    pkcs11.load(module);
    pkcs11.C_Initialize();
    try {
      const slot = pkcs11.C_GetSlotList(true).find((each) => pkcs11.C_GetTokenInfo(each).label.trim() === label);
      const session = pkcs11.C_OpenSession(slot as Handle, CK.CKF_SERIAL_SESSION | CK.CKF_RW_SESSION);
      pkcs11.C_Login(session, CK.CKU_USER, pin);
      return run(pkcs11, session, () => {
        pkcs11.C_FindObjectsInit(session, [{ type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY }]);
        const [key] = pkcs11.C_FindObjects(session, 1);
        pkcs11.C_FindObjectsFinal(session);
        return key as Handle;
      });
    } finally {
      pkcs11.C_Finalize();
    }
  };
  return {
    set: (template) => inSession((pkcs11, session, key) => pkcs11.C_SetAttributeValue(session, key(), template)),
    read: (type) =>
      inSession((pkcs11, session, key) => pkcs11.C_GetAttributeValue(session, key(), [{ type }])[0]?.value),
    make: (name, template) =>
      inSession((pkcs11, session) => {
        const common = [
          { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
          { type: CK.CKA_KEY_TYPE, value: CK.CKK_AES },
          { type: CK.CKA_TOKEN, value: true },
          { type: CK.CKA_LABEL, value: name },
        ];
        const isImport = template.some(({ type }) => type === CK.CKA_VALUE);
        if (isImport) pkcs11.C_CreateObject(session, [...common, ...template]);
        else pkcs11.C_GenerateKey(session, { mechanism: CK.CKM_AES_KEY_GEN }, [...common, ...template]);
      }),
  };
}
