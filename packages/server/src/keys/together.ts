/** Calls that arrive while one is under way share the next: as many callers as there are, one statement each time. */

interface Call<Item, Result> {
  readonly items: readonly Item[];
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Items in one run; whoever brings more gets a run of his own. */
const MOST_ITEMS = 2_000;

/**
 * @param run answers one result per item, in order; when it fails, all who share it fail alike
 */
export function together<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): (items: readonly Item[]) => Promise<Result[]> {
  const waiting: Call<Item, Result>[] = [];
  let running = false;
  const serve = async (calls: readonly Call<Item, Result>[]) => {
    try {
      const results = await run(calls.flatMap(({ items }) => items));
      let from = 0;
      for (const { items, resolve } of calls) resolve(results.slice(from, (from += items.length)));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  };
  const serveAll = async () => {
    running = true;
    for (let calls = take(waiting); calls.length > 0; calls = take(waiting)) await serve(calls);
    running = false;
  };
  return (items) =>
    new Promise((resolve, reject) => {
      waiting.push({ items, resolve, reject });
      if (!running) void serveAll();
    });
}

function take<Item, Result>(waiting: Call<Item, Result>[]): Call<Item, Result>[] {
  let items = 0;
  const over = waiting.findIndex((call, at) => (items += call.items.length) > MOST_ITEMS && at > 0);
  return waiting.splice(0, over === -1 ? waiting.length : over);
}
