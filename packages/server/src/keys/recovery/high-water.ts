/** The high-water mark: the newest generation of the key database that this custodian has seen, in a file of its own beside no database. */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataKey } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError, writeDurably } from '../../core/index.ts';
import { lengthPrefixed } from '../wrapping.ts';
import type { Tally, TalliedInstallation } from './installation.ts';

const digits = z.string().regex(/^\d{1,30}$/);

const mark = z.strictObject({
  installation: z.uuid(),
  tenant: z.string(),
  generation: digits,
  dataKeys: digits,
  seals: digits,
  wraps: digits,
  /** The newest KEK there was, and the KEK whose holder wrote this. */
  kekVersion: z.int().min(1),
  writtenUnder: z.int().min(1),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});
type HighWater = Omit<z.infer<typeof mark>, 'mac'>;

const FILE = 'high-water';
const LABEL = 'keyward/high-water/1';

/** Derived, so that the KEK itself never authenticates what lies on a disk. */
function macOf(kek: DataKey, value: HighWater): Buffer {
  const { installation, tenant, generation, dataKeys, seals, wraps, kekVersion, writtenUnder } = value;
  const key = Buffer.from(hkdfSync('sha256', kek.secret, '', LABEL, 32));
  try {
    const numbers = [generation, dataKeys, seals, wraps, String(kekVersion), String(writtenUnder)];
    return createHmac('sha256', key)
      .update(lengthPrefixed([LABEL, installation, tenant, ...numbers]))
      .digest();
  } finally {
    key.fill(0);
  }
}

/** `kek` is the one that the installation names as open. */
export async function writeHighWater(
  directory: string,
  tenant: string,
  { id: installation, generation, kekVersion, tally }: TalliedInstallation,
  kek: { readonly version: number; readonly key: DataKey },
): Promise<void> {
  const counted = {
    generation: String(generation),
    dataKeys: String(tally.dataKeys),
    seals: String(tally.seals),
    wraps: String(tally.wraps),
  };
  const value = { installation, tenant, ...counted, kekVersion, writtenUnder: kek.version };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const mac = macOf(kek.key, value).toString('hex');
  const content = Buffer.from(`${JSON.stringify({ ...value, mac })}\n`);
  writeDurably({ file: join(directory, FILE), content, mode: 0o600, replace: true });
}

export type StoredHighWater = z.infer<typeof mark>;

export const tallyOf = ({ dataKeys, seals, wraps }: StoredHighWater): Tally => ({
  dataKeys: BigInt(dataKeys),
  seals: BigInt(seals),
  wraps: BigInt(wraps),
});

/** Undefined when there is none. @throws KeywardError `KEYS_ROLLED_BACK` for what no custodian wrote */
export async function readHighWater(directory: string): Promise<StoredHighWater | undefined> {
  let text: string;
  try {
    text = await readFile(join(directory, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = mark.safeParse(parse(text));
  if (!parsed.success) throw altered();
  return parsed.data;
}

/** @throws KeywardError `KEYS_ROLLED_BACK` */
export function requireGenuine({ mac, ...value }: StoredHighWater, kek: DataKey): void {
  if (!timingSafeEqual(Buffer.from(mac, 'hex'), macOf(kek, value))) throw altered();
}

const altered = () =>
  new KeywardError('KEYS_ROLLED_BACK', { detail: 'The file custodian/high-water in the data directory was altered.' });

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
