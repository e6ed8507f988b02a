/** What all verbs share: common options, an example in the help, and ways to read option values. */
import { Command, InvalidArgumentError, Option } from 'commander';

/** Data directory that needs no option to be found. */
export const DEFAULT_DATA_DIR = './.keyward';

/** A verb with the common options; `example` closes its help. */
export function verb(name: string, description: string, example: string): Command {
  return new Command(name)
    .description(description)
    .addOption(
      new Option('--data-dir <dir>', 'directory of the instance').env('KEYWARD_DATA_DIR').default(DEFAULT_DATA_DIR),
    )
    .addOption(new Option('--config <file>', 'configuration file (keyward.yaml)').env('KEYWARD_CONFIG'))
    .option('--json', 'answer in JSON')
    .addHelpText('after', `\nExample:\n  $ ${example}`);
}

/** For verbs that are used where a real issuer's tokens are. */
export const tokenFileOption = (): Option =>
  new Option('--token-file <file>', 'access token of a real issuer (default: KEYWARD_TOKEN)');

/** A verb that only holds other verbs. */
export function group(name: string, description: string, verbs: readonly Command[]): Command {
  const command = new Command(name).description(description);
  for (const child of verbs) command.addCommand(child);
  return command;
}

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `90s`, `5m`, `1h` → seconds. */
export function seconds(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,5})([smh])$/.exec(text) ?? [];
  const value = Number(digits) * (SECONDS_PER_UNIT[unit] ?? 0);
  if (value < 1) throw new InvalidArgumentError('Write a number and a unit, such as 90s, 5m or 1h.');
  return value;
}

/** A whole number from `least` to `most`. */
export const wholeNumber = (least: number, most: number) => (text: string) => {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`Write a whole number from ${least} to ${most}.`);
};

export const port = wholeNumber(1, 65_535);

/** R4 §2.24.0.1: what an id may look like. */
export function fhirId(text: string): string {
  if (/^[A-Za-z0-9.-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('An id has 1 to 64 letters, digits, dots or hyphens.');
}
