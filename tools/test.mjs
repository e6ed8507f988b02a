// `npm test`: installs what is missing, checks types, lint, format and unused code, then runs every test.
//   --all           also the long runs (KEYWARD_TEST_ALL)
//   --checks-only   no tests
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installIfMissing, ROOT, runtimePath } from './install.mjs';

const all = process.argv.includes('--all');
installIfMissing({ development: true });

const bin = (name) => join(ROOT, 'node_modules', '.bin', name);
const checks = [
  ['types', bin('tsc'), ['-p', '.']],
  ['lint', bin('oxlint'), ['--type-aware', '--deny-warnings', 'packages', 'test', 'tools', 'bench', 'examples']],
  ['format', bin('biome'), ['format', '.']],
  ['unused code', bin('knip'), []],
];

for (const [name, command, args] of checks) run(name, command, args);
if (!process.argv.includes('--checks-only')) {
  const files = ['packages/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'examples/**/*.test.ts', 'test/**/*.test.ts'];
  run('tests', runtimePath(), ['--test', '--test-concurrency=2', '--test-timeout=540000', ...files], {
    KEYWARD_TEST_ALL: all ? '1' : '',
  });
}

function run(name, command, args, env = {}) {
  const started = Date.now();
  console.log(`\n▶ ${name}`);
  // The tools are programs of node_modules/.bin; they run on the installed runtime, whatever Node called this.
  const path = `${join(ROOT, 'node_modules', 'node', 'bin')}:${process.env.PATH}`;
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env, PATH: path },
  });
  if (status !== 0) {
    console.error(`✖ ${name} failed`);
    process.exit(status ?? 1);
  }
  console.log(`✔ ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}
