/** A limit on how many calls run at the same time; the others wait in order. */

export type Slots = <T>(run: () => Promise<T>) => Promise<T>;

export function createSlots(max: number): Slots {
  let free = max;
  const waiting: (() => void)[] = [];
  const release = () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return async (run) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      release();
    }
  };
}
