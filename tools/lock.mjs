// Completes package-lock.json: `node tools/lock.mjs` after every `npm install`.
// A registry mirror that lacks the binaries of other platforms makes npm drop them from the lock, and then `npm ci` refuses to
// work anywhere. Their entries are written here, without integrity: a platform's own first `npm install` adds it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LOCK = join(fileURLToPath(import.meta.url), '../../package-lock.json');
const SYSTEMS = ['linux', 'darwin', 'win32', 'android', 'freebsd', 'openharmony', 'netbsd', 'openbsd', 'aix', 'sunos'];
const PROCESSORS = ['x64', 'arm64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];

const lock = JSON.parse(readFileSync(LOCK, 'utf8'));
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const own = `${path}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    if (lock.packages[own] || lock.packages[hoisted]) continue;
    lock.packages[hoisted] = { version, ...platformOf(name), ...(entry.dev ? { dev: true } : {}), optional: true };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([left], [right]) => (left < right ? -1 : 1)));
writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);

/** From names like `@scope/binding-linux-arm-gnueabihf`. */
function platformOf(name) {
  const words = name.split(/[-/]/);
  const os = SYSTEMS.filter((system) => words.includes(system));
  const cpu = PROCESSORS.filter((processor) => words.includes(processor));
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : undefined;
  if (os.length === 0 && cpu.length === 0) throw new Error(`${name}: its platform cannot be told from its name`);
  return { ...(cpu.length > 0 ? { cpu } : {}), ...(os.length > 0 ? { os } : {}), ...(libc ? { libc } : {}) };
}
