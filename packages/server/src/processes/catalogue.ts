/** The catalogue as the configuration has it: Keyward's rules, the operator's overrides, and the overrides of before. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/index.ts';
import { KeywardError } from '../core/index.ts';
import { type Catalogue, createCatalogue, type Overrides, parseOverrides } from '../phi/index.ts';

/** @throws KeywardError `SEAL_OVERRIDES_INVALID` | `SEAL_INDEX_REFUSED`; `CONFIG_UNREADABLE` for a file that is not there */
export function loadCatalogue({ seal, gateway }: Pick<Config, 'seal' | 'gateway'>): Catalogue {
  const current = seal.overridesFile === undefined ? undefined : readOverrides(seal.overridesFile);
  return createCatalogue(current, seal.earlierOverridesFiles.map(readOverrides), gateway.prefixSearch);
}

function readOverrides(file: string): Overrides {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new KeywardError('CONFIG_UNREADABLE', { detail: 'An overrides file named under seal.', cause });
  }
  return parseOverrides(text);
}
