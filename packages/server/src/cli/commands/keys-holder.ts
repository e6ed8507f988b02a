/** `keyward keys holder-key` and `open-share`: what a holder of shares does on a machine of his own. */
import type { Command } from 'commander';
import { generateHolderKey } from '../../keys/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { openShareFile, writePrivateFile } from '../recovery/share-files.ts';
import { verb } from '../verb.ts';

interface HolderFlags extends CommonOptions {
  readonly out: string;
}

export function keysHolderKeyCommand({ terminal }: CliContext): Command {
  return verb(
    'holder-key',
    'Make the key pair that your shares of backups are sealed to; prints the public key.',
    'keyward keys holder-key --out ~/holder.pem',
  )
    .requiredOption('--out <file>', 'where the private key is written')
    .action(({ out, json }: HolderFlags) => {
      const { publicKey, privateKey } = generateHolderKey();
      writePrivateFile(out, privateKey);
      terminal.out.write(json ? `${JSON.stringify({ publicKey })}\n` : `${publicKey}\n`);
    });
}

interface OpenFlags extends CommonOptions {
  readonly key: string;
  readonly share: string;
  readonly out: string;
}

export function keysOpenShareCommand({ terminal }: CliContext): Command {
  return verb(
    'open-share',
    'Open a share that is sealed to your key, for a restore or a drill.',
    'keyward keys open-share --key ~/holder.pem --share ada.sealed-share --out ada.share',
  )
    .requiredOption('--key <file>', 'your private key')
    .requiredOption('--share <file>', 'the sealed share')
    .requiredOption('--out <file>', 'where the opened share is written')
    .action(({ key, share, out, json }: OpenFlags) => {
      writePrivateFile(out, openShareFile(share, key));
      terminal.out.write(json ? `${JSON.stringify({ share: out })}\n` : `${out}\n`);
    });
}
