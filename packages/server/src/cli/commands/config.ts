/** `keyward config explain`: every key, its value, where that came from, and what it means. */
import type { Command } from 'commander';
import type { ConfigRow } from '../../config/index.ts';
import type { CliContext, CommonOptions } from '../context.ts';
import { paint, type Output } from '../terminal.ts';
import { group, verb } from '../verb.ts';

export function configCommand({ services, terminal }: CliContext): Command {
  const explain = verb(
    'explain',
    'Print each setting and where it came from.',
    'keyward config explain --config keyward.yaml',
  ).action((options: CommonOptions) => {
    const rows = services.explainConfig(options);
    terminal.out.write(options.json ? `${JSON.stringify(rows, null, 2)}\n` : renderConfig(rows, terminal.out));
  });
  return group('config', 'Look at the configuration.', [explain]);
}

function renderConfig(rows: readonly ConfigRow[], output: Output): string {
  const keyWidth = Math.max(...rows.map(({ key }) => key.length), 0);
  const line = ({ key, value, source, env, description }: ConfigRow) => {
    const setting = `${paint(output, 'bold', key.padEnd(keyWidth))}  ${showValue(value)}  ${paint(output, 'dim', `[${source}]`)}`;
    return `${setting}\n${' '.repeat(keyWidth)}  ${description}\n${' '.repeat(keyWidth)}  ${paint(output, 'dim', env)}\n`;
  };
  return rows.map(line).join('');
}

const showValue = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null'));
