/** Work on many values with pauses, so that one large body does not keep everybody waiting. */
import { setImmediate } from 'node:timers/promises';

/** Some milliseconds of sealing or opening. */
const SLICE_ITEMS = 1_000;

/** What `work` makes of all items, in their order. */
export async function inSlices<Item, Made>(
  items: readonly Item[],
  work: (slice: readonly Item[]) => readonly Made[],
): Promise<Made[]> {
  const made: Made[] = [];
  for (let start = 0; start < items.length; start += SLICE_ITEMS) {
    if (start > 0) await setImmediate();
    made.push(...work(items.slice(start, start + SLICE_ITEMS)));
  }
  return made;
}
