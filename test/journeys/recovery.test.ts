/** Recovery from outside: back up under dual control, restore from shares into an empty directory, rehearse it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Pool } from 'undici';
import { MAIN, newProduct, type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';

const FAMILY = 'Wiederkehr';
const PATIENT = {
  resourceType: 'Patient',
  name: [{ family: FAMILY, given: ['Rosalinde'] }],
  birthDate: '1961-04-05',
};
const HOLDERS = 5;
const THRESHOLD = 3;

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** One command line, as an operator types it; `watch` is told what it says meanwhile. */
function keyward(args: readonly string[], watch: (said: string) => void = () => undefined): Promise<Ran> {
  const env = { PATH: process.env['PATH'], HOME: folder };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], { env }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
    child.stderr?.on('data', (said) => watch(String(said)));
  });
}

async function succeeded(...args: readonly string[]): Promise<string> {
  return outOf(await keyward(args));
}

function outOf({ status, out, err }: Ran): string {
  assert.equal(status, 0, err);
  return out;
}

let folder: string;
let product: Product;
let mine: Backup;
/** The patient as the FHIR server behind the gateway holds it: sealed. */
let sealed: Record<string, unknown>;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyward-recovery-'));
  // One approval shows what two would; how many it takes is tested where they are counted.
  product = await startProduct({ env: { KEYWARD_KEYS_APPROVALS_NEEDED: '1' } });
  await succeeded('keys', 'enroll', ...approver(), '--reason', 'a test');
  const created = await product.fhir({ path: '/Patient', json: PATIENT, role: 'clinician' });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  sealed = await readSealed(created.body['id'] as unknown as string);
  mine = await backUp('mine');
});
after(() => rmSync(folder, { recursive: true, force: true }));

const here = () => ['--data-dir', product.dataDir];
const approver = () => ['--as', 'approver-1', '--key-file', join(folder, 'approver.pem'), ...here()];

async function readSealed(id: string): Promise<Record<string, unknown>> {
  const store = new Pool('http://store.invalid', { socketPath: join(product.paths.sockets, 'store.sock') });
  const { body } = await store.request({ method: 'GET', path: `/Patient/${id}` });
  const resource = (await body.json()) as Record<string, unknown>;
  await store.close();
  return resource;
}

interface Backup {
  readonly file: string;
  readonly shares: readonly string[];
}

/** Asked for by one, approved by another while the first waits. */
async function backUp(name: string): Promise<Backup> {
  const counts = ['--shares', String(HOLDERS), '--threshold', String(THRESHOLD)];
  const where = ['--out', join(folder, name), '--reason', 'a test', '--json', ...here()];
  let approved: Promise<string> | undefined;
  const ran = await keyward(['keys', 'backup', ...counts, ...where], (said) => {
    const [, id] = /^request (\S+):/m.exec(said) ?? [];
    if (id !== undefined) approved = succeeded('keys', 'approve', id, ...approver());
  });
  await approved;
  const made = JSON.parse(outOf(ran)) as Backup;
  assert.equal(made.shares.length, HOLDERS);
  return { file: join(product.dataDir, 'backups', made.file), shares: made.shares };
}

/** Ledger entries of one interaction. */
const countOf = async (of: Product, interaction: string): Promise<number> =>
  (await of.ledger()).filter((entry) => (entry['event']?.['interaction'] as unknown) === interaction).length;

const restoreInto = (dataDir: string, backup: string, shares: readonly string[]): Promise<Ran> =>
  keyward([
    'keys',
    'restore',
    '--backup',
    backup,
    ...shares.flatMap((share) => ['--share', share]),
    '--data-dir',
    dataDir,
  ]);

const drill = ({ file, shares }: Backup, ...more: readonly string[]): Promise<Ran> => {
  const quorum = shares.slice(0, THRESHOLD).flatMap((share) => ['--share', share]);
  return keyward(['keys', 'drill', '--backup', file, ...quorum, '--json', ...here(), ...more]);
};

test('[K8] shares restore an empty directory, and the sealed patient of the first instance opens there', async (context) => {
  const other = await backUp('other');
  const upstream = await RecordingUpstream.start();
  context.after(() => upstream.close());
  upstream.stored.set(`Patient/${String(sealed['id'])}`, sealed);
  const there = await newProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  const [one = '', two = '', three = '', , five = ''] = mine.shares;
  const refused = {
    'two shares': [one, two],
    'one of another backup': [one, two, other.shares[2] ?? ''],
  };
  for (const [what, shares] of Object.entries(refused)) {
    const ran = await restoreInto(there.dataDir, mine.file, shares);
    assert.match(ran.err, /KEYS_BACKUP_INVALID/, what);
    assert.deepEqual(readdirSync(there.dataDir), [], what);
  }
  const restored = await restoreInto(there.dataDir, mine.file, [five, three, one]);
  assert.equal(restored.status, 0, restored.err);
  assert.match((await restoreInto(there.dataDir, mine.file, [five, three, one])).err, /KEYS_RESTORE_REFUSED/);

  await there.start();
  const read = await there.fhir({ path: `/Patient/${String(sealed['id'])}`, role: 'clinician' });
  assert.equal(read.status, 200, JSON.stringify(read.body));
  assert.equal(read.body['name']?.[0]?.['family'], FAMILY);
  assert.equal(await countOf(there, 'keys.restored'), 1);
});

test('[K8] a drill opens a sealed patient, tells nothing of it, and is in the ledger; one that fails is, too', async () => {
  const ofStore = await drill(mine, '--patient', String(sealed['id']));
  assert.equal(ofStore.status, 0, ofStore.err);
  assert.ok(!`${ofStore.out}${ofStore.err}`.includes(FAMILY));
  const file = join(folder, 'sealed-patient.json');
  writeFileSync(
    file,
    JSON.stringify(sealed).replace(/(kw1\.[\w-]{60})(\w)/, (_, head, last) => `${head}${last === 'A' ? 'B' : 'A'}`),
  );
  assert.match((await drill(mine, '--sealed', file)).err, /SEAL_NOT_AUTHENTIC/, 'a patient that was altered');

  const answer = await succeeded('keys', 'drills', '--json', ...here());
  const { drills } = JSON.parse(answer) as { drills: { opened: boolean }[] };
  assert.deepEqual(
    drills.map(({ opened }) => opened),
    [false, true],
  );
  assert.equal(await countOf(product, 'keys.record-drill'), 2);
});
