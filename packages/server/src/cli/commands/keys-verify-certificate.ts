/** `keyward keys verify-certificate`: whether the certificate of a destruction is genuine, with a key at hand or those of the instance. */
import { createPublicKey } from 'node:crypto';
import type { Json } from '@keyward/sdk/seal';
import type { Command } from 'commander';
import { KeywardError } from '../../core/index.ts';
import { verifyCertificate } from '../../keys/index.ts';
import type { CliContext, TokenSourceOptions } from '../context.ts';
import { listAt, textAt } from '../json.ts';
import { openDesk } from '../keys/desk.ts';
import { renderRecord } from '../keys/screen.ts';
import { readTextFile } from '../recovery/share-files.ts';
import { tokenFileOption, verb } from '../verb.ts';

interface Flags extends TokenSourceOptions {
  readonly key?: string;
}

export function keysVerifyCertificateCommand(context: CliContext): Command {
  return verb(
    'verify-certificate',
    'Verify the certificate of a destruction; with --key, nothing needs to run.',
    'keyward keys verify-certificate certificate.json --key signer.pem',
  )
    .argument('<file>', 'the certificate, as "keyward keys certificate --json" writes it')
    .addOption(tokenFileOption())
    .option('--as <sub>', 'who you are, with the development issuer', 'operator')
    .option('--key <key>', 'public key of the signer: a PEM file, or 64 hex digits (default: asked of the instance)')
    .action(async (file: string, flags: Flags) => {
      const certificate = parse(readTextFile(file));
      const publicKey = flags.key === undefined ? await publishedKey(context, flags, certificate) : keyIn(flags.key);
      // Of another instance, or of nobody: it cannot be verified with what is published here.
      if (publicKey === undefined || !verifyCertificate(certificate, publicKey))
        throw new KeywardError('CLI_CERTIFICATE');
      const facts = factsOf(certificate);
      context.terminal.out.write(flags.json ? `${JSON.stringify(facts)}\n` : `verified\n${renderRecord(facts)}`);
    });
}

/** What is no JSON is no certificate. */
function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new KeywardError('CLI_CERTIFICATE', { detail: 'It is not JSON.' });
  }
}

const HEX_KEY = /^[0-9a-f]{64}$/i;

/** SubjectPublicKeyInfo of Ed25519 ends with the 32 bytes of the key (RFC 8410, section 4). */
const PUBLIC_KEY_BYTES = 32;

function keyIn(key: string): Buffer {
  if (HEX_KEY.test(key)) return Buffer.from(key, 'hex');
  const pem = readTextFile(key);
  try {
    const read = createPublicKey(pem);
    if (read.asymmetricKeyType !== 'ed25519') throw new Error('no Ed25519 key');
    return read.export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_KEY_BYTES);
  } catch (cause) {
    throw new KeywardError('CLI_USAGE', {
      detail: '--key takes a PEM file of an Ed25519 public key, or its 64 hex digits',
      cause,
    });
  }
}

async function publishedKey(context: CliContext, flags: Flags, certificate: Json): Promise<Buffer | undefined> {
  await using desk = openDesk(context, flags);
  const keyId = textAt(certificate, 'signature', 'keyId');
  const found = listAt(await desk.ask('signing-keys', {})).find((key) => textAt(key, 'keyId') === keyId);
  const hex = textAt(found, 'publicKey');
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
}

/** The members that say what was certified; the rest is in the file. */
const factsOf = (certificate: Json): Json => ({
  type: textAt(certificate, 'statement', 'type') ?? '',
  destruction: textAt(certificate, 'statement', 'destruction') ?? '',
  target: textAt(certificate, 'statement', 'target') ?? '',
  destroyedAt: textAt(certificate, 'statement', 'destroyedAt') ?? '',
  signedBy: textAt(certificate, 'signature', 'keyId') ?? '',
});
