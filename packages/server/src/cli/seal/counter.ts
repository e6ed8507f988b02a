/** Shows on stderr how far a long run is: one line that is painted anew on a terminal, a line now and then anywhere else. */
import { type Output, REPAINT } from '../terminal.ts';

const REPAINT_EVERY = 500;
const LINE_EVERY = 20_000;

export interface Counter {
  next(): void;
  end(): void;
  total(): number;
}

export function createCounter(output: Output): Counter {
  let total = 0;
  return {
    next() {
      total += 1;
      if (output.isTty && total % REPAINT_EVERY === 0) output.write(`${REPAINT}${total} resources`);
      if (!output.isTty && total % LINE_EVERY === 0) output.write(`${total} resources\n`);
    },
    end: () => {
      if (output.isTty) output.write(REPAINT);
    },
    total: () => total,
  };
}
