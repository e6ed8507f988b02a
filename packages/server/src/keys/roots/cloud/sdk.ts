/** SDKs of cloud providers: optional packages, loaded when a root that needs one is opened. */
import { rootFailure } from '../failure.ts';

const MISSING: ReadonlySet<unknown> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` with the line that installs what is missing */
export async function loadSdk<Sdk>(packages: readonly string[], load: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await load();
  } catch (thrown) {
    if (!MISSING.has((thrown as { code?: unknown }).code)) throw thrown;
    const line = `This root needs packages that are not installed: npm install ${packages.join(' ')}`;
    throw rootFailure('KEYS_ROOT_UNUSABLE', line, thrown);
  }
}
