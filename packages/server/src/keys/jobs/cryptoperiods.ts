/** How long keys protect (NIST SP 800-57 part 1, section 5.3): as configured, or shorter where operators have set so. */
import { z } from 'zod';
import type { Config } from '../../config/index.ts';
import type { Setting, Settings } from '../control/settings.ts';

type CryptoperiodDays = Config['keys']['cryptoperiodDays'];
type Keys = keyof CryptoperiodDays;

const DAY_MS = 86_400_000;
const LEAST_DAYS = 30;
const MOST_DAYS = 1095;

const SUMMARIES: Readonly<Record<Keys, string>> = {
  kek: 'Days that a KEK wraps new data keys before it is rotated.',
  data: 'Days that a data key seals before it is rotated, at its next use.',
  root: 'Days that KEKs may stand on one root key before an alarm is raised.',
  signing: 'Days that certificates are signed with one key before it is rotated.',
};

/** A longer period would have to be configured: what operators set can only make it shorter. */
export function cryptoperiodSettings(configured: CryptoperiodDays): Readonly<Record<Keys, Setting>> {
  const setting = (name: Keys): Setting => ({
    name: `cryptoperiodDays.${name}`,
    summary: SUMMARIES[name],
    value: z.int().min(LEAST_DAYS).max(MOST_DAYS),
    configured: configured[name],
    stricter: Math.min,
  });
  return { kek: setting('kek'), data: setting('data'), root: setting('root'), signing: setting('signing') };
}

export interface Cryptoperiods {
  /** As it was last read, so that nothing on the path of a request waits for it. */
  ms(keys: Keys): number;
  refresh(): Promise<void>;
}

export function createCryptoperiods(configured: CryptoperiodDays, read: Settings['read']): Cryptoperiods {
  const settings = cryptoperiodSettings(configured);
  let days = configured;
  return {
    ms: (keys) => days[keys] * DAY_MS,
    async refresh() {
      const [kek, data, root, signing] = await Promise.all([
        read(settings.kek),
        read(settings.data),
        read(settings.root),
        read(settings.signing),
      ]);
      days = { kek, data, root, signing };
    },
  };
}
