/** Who gets the shares of a backup: people with keys of their own, or, for development, files in one directory. */
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { KeywardError } from '../../core/index.ts';
import { generateHolderKey, HOLDER_NAME, isHolderPublicKey, openSealedShare } from '../../keys/index.ts';
import { writePrivateFile } from './share-files.ts';

export interface Holder {
  readonly name: string;
  readonly publicKey: string;
}

export interface SealedShare {
  readonly holder: string;
  readonly share: string;
}

/** `NAME=kwh1…`, once for each. */
export function holderOption(value: string, before: readonly Holder[] = []): Holder[] {
  const [name = '', publicKey = ''] = value.split('=', 2);
  if (!HOLDER_NAME.test(name) || !isHolderPublicKey(publicKey))
    throw new InvalidArgumentError('Write NAME=KEY with a key that "keyward keys holder-key" printed.');
  return [...before, { name, publicKey }];
}

export interface ShareTakers {
  readonly holders: readonly Holder[];
  /** Writes the shares; answers the names of the files. */
  write(shares: readonly SealedShare[], folder: string): string[];
}

/** Each holder's share stays sealed to his key. */
export const sealedTakers = (holders: readonly Holder[]): ShareTakers => ({
  holders,
  write: (shares, folder) => writeAll(folder, '.sealed-share', shares),
});

/** All shares in one hand: whoever has the folder and the backup has every key. The keys live as long as this command. */
export function developmentTakers(count: number): ShareTakers {
  const keys = Array.from({ length: count }, (_, index) => ({ name: `holder-${index + 1}`, ...generateHolderKey() }));
  return {
    holders: keys.map(({ name, publicKey }) => ({ name, publicKey })),
    write(shares, folder) {
      const opened = shares.map(({ holder, share }) => {
        const key = keys.find(({ name }) => name === holder);
        if (!key) throw new KeywardError('CLI_REQUEST_FAILED', { detail: 'a share is for nobody we know' });
        return { holder, share: openSealedShare(share, key.privateKey) };
      });
      return writeAll(folder, '.share', opened);
    },
  };
}

function writeAll(folder: string, ending: string, shares: readonly SealedShare[]): string[] {
  return shares.map(({ holder, share }) => {
    if (!HOLDER_NAME.test(holder)) throw new KeywardError('CLI_REQUEST_FAILED');
    const file = join(folder, `${holder}${ending}`);
    writePrivateFile(file, share);
    return file;
  });
}
