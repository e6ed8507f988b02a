/** The terminal: where text goes, how wide it is, and whether it shows colour. */
import { styleText } from 'node:util';

export interface Output {
  write(text: string): void;
  readonly isTty: boolean;
  /** Characters in a line. */
  readonly columns: number;
}

export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  /** Calls back once when the user presses Ctrl-C; the answer takes the listener away again. */
  onInterrupt(listener: () => void): () => void;
}

/** What is not a terminal gets lines a person can still read in a log. */
const COLUMNS_WITHOUT_TTY = 100;

export const processTerminal = (): Terminal => ({
  out: streamOutput(process.stdout),
  err: streamOutput(process.stderr),
  onInterrupt(listener) {
    // `once`: a second Ctrl-C meets no listener and ends the process at once.
    process.once('SIGINT', listener);
    return () => void process.removeListener('SIGINT', listener);
  },
});

const streamOutput = (stream: NodeJS.WriteStream): Output => ({
  write: (text) => void stream.write(text),
  isTty: stream.isTTY ?? false,
  columns: stream.columns ?? COLUMNS_WITHOUT_TTY,
});

/** Begins the line under the cursor anew: carriage return, then ANSI "erase to the end of the line". */
export const REPAINT = '\r\u001b[K';

type Colour = Parameters<typeof styleText>[0];

/** Coloured on a terminal that wants it (NO_COLOR is respected), plain anywhere else. */
export function paint(output: Output, colour: Colour, text: string): string {
  return output.isTty && !process.env['NO_COLOR'] ? styleText(colour, text, { validateStream: false }) : text;
}
