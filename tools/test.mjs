// `npm test`: installs what is missing, checks types, lint, format and unused code, then runs every test.
//   --all           also the long runs (KEYWARD_TEST_ALL)
//   --checks-only   no tests
// In CI (the variable CI is set) a file with a failure is run once more, alone; what passes only then is listed as unsteady.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
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

/** More than these are no accident of a busy machine. */
const MAX_UNSTEADY_FILES = 3;

const failed = checks.filter(([name, command, args]) => !passes(name, command, args)).map(([name]) => name);
if (!process.argv.includes('--checks-only')) {
  const files = ['packages/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'examples/**/*.test.ts', 'test/**/*.test.ts'];
  if (!testsPass(files, { KEYWARD_TEST_ALL: all ? '1' : '' })) failed.push('tests');
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

function testsPass(files, env) {
  const scratch = mkdtempSync(join(tmpdir(), 'keyward-test-'));
  const list = join(scratch, 'failed-files');
  const args = ['--test', '--test-timeout=540000', '--test-reporter=spec', '--test-reporter-destination=stdout'];
  const reporter = [
    `--test-reporter=${join(ROOT, 'tools', 'failed-files.mjs')}`,
    `--test-reporter-destination=${list}`,
  ];
  try {
    if (run('tests', runtimePath(), [...args, ...reporter, '--test-concurrency=2', ...files], env) === 0) return true;
    const again = readFileSync(list, 'utf8').split('\n').filter(Boolean);
    if (!process.env.CI || again.length === 0 || again.length > MAX_UNSTEADY_FILES) return false;
    if (run('tests that failed, alone', runtimePath(), [...args, '--test-concurrency=1', ...again], env) !== 0)
      return false;
    for (const file of again) console.log(`⚠ unsteady: ${relative(ROOT, file)} failed, and passed when it ran alone`);
    return true;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
