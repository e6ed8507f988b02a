/** `keyward doctor`: checks this machine, the data directory and the running instance; works when nothing runs. */
import type { Command } from 'commander';
import { dataPaths, KeywardError } from '../../core/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { CHECKS, type CheckResult, type DoctorInputs, type Level, runChecks } from '../doctor/checks.ts';
import { findInstance } from '../instance.ts';
import { paint, type Output } from '../terminal.ts';
import { verb } from '../verb.ts';

export function doctorCommand(context: CliContext): Command {
  return verb(
    'doctor',
    'Check this machine, the data directory and the instance.',
    'keyward doctor --data-dir /srv/keyward',
  ).action(async (options: CommonOptions) => {
    const { out } = context.terminal;
    const results = await runChecks(CHECKS, inputsOf(context, options));
    out.write(options.json ? `${JSON.stringify(results, null, 2)}\n` : renderChecks(results, out));
    if (results.some(({ level }) => level === 'fail')) throw new KeywardError('CLI_CHECK_FAILED');
  });
}

function inputsOf({ services, clock }: CliContext, options: CommonOptions): DoctorInputs {
  const paths = dataPaths(options.dataDir);
  return {
    paths,
    now: clock.now(),
    runtimeVersion: process.versions.node,
    instance: findInstance(paths),
    facts: () => services.doctorFacts(options),
    describeRoot: () => services.describeRoot(options),
    postgresVersion: () => services.postgresVersion(),
    sealEngine: () => services.sealEngine(),
  };
}

const MARKS = {
  ok: { text: 'ok  ', colour: 'green' },
  warn: { text: 'warn', colour: 'yellow' },
  fail: { text: 'FAIL', colour: 'red' },
} as const satisfies Record<Level, object>;

function renderChecks(results: readonly CheckResult[], output: Output): string {
  const width = Math.max(...results.map(({ name }) => name.length), 0);
  const line = ({ name, level, finding, hint }: CheckResult) => {
    const mark = paint(output, MARKS[level].colour, MARKS[level].text);
    const advice = hint ? `${' '.repeat(width + 8)}hint: ${hint}\n` : '';
    return `${mark}  ${name.padEnd(width)}  ${finding}\n${advice}`;
  };
  return results.map(line).join('');
}
