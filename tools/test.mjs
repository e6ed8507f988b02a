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

const failed = checks.filter(([name, command, args]) => !passes(name, command, args)).map(([name]) => name);
if (!process.argv.includes('--checks-only')) {
  const files = ['packages/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'examples/**/*.test.ts', 'test/**/*.test.ts'];
  const args = ['--test', '--test-concurrency=2', '--test-timeout=540000', ...files];
  // The runner's summary stays the last thing that is printed.
  if (run('tests', runtimePath(), args, { KEYWARD_TEST_ALL: all ? '1' : '' }) !== 0) failed.push('tests');
}
if (failed.length > 0) {
  console.error(`\n✖ failed: ${failed.join(', ')}`);
  process.exit(1);
}

function passes(name, command, args) {
  const startedMs = performance.now();
  const passed = run(name, command, args) === 0;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(passed ? `✔ ${name} (${seconds} s)` : `✖ ${name} failed`);
  return passed;
}

/** Answers the exit status. */
function run(name, command, args, env = {}) {
  console.log(`\n▶ ${name}`);
  // The tools are programs of node_modules/.bin; they run on the installed runtime, whatever Node called this.
  const path = `${join(ROOT, 'node_modules', 'node', 'bin')}:${process.env.PATH}`;
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env, PATH: path },
  });
  if (error) console.error(`error: ${command} cannot be run (${error.code})`);
  return status ?? 1;
}
