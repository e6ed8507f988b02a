/** What one custodian hears of keys, from itself and from others on its database, and tells to all who listen. */
import type { NewsListener, WireNews } from '@keyward/sdk/client';
import type { NewsItem } from './news-rows.ts';

export type Tell = (line: WireNews) => void;

export interface NewsFeed {
  /**
   * Begins with what happened behind `after`; with a reset where that is not known any more, or where there is no `after`.
   * Undefined while this custodian itself is deaf, since it would hide what happens.
   * @returns ends the subscription
   */
  subscribe(after: number | undefined, tell: Tell): (() => void) | undefined;
  /** What is known at the beginning, oldest first. */
  begin(items: readonly NewsItem[]): void;
  /** What happened since, in order; none says that nothing did. */
  publish(items: readonly NewsItem[]): void;
  /** Sequence of the newest known. */
  head(): number;
  /** Nothing can be heard now; who listens is told no more heartbeats. */
  deafen(): void;
}

/** News kept for those who come back after an interruption. */
export const MAX_REMEMBERED_NEWS = 1000;

/** @param own holds keys in this very process */
export function createNewsFeed(own: NewsListener): NewsFeed {
  let remembered: NewsItem[] = [];
  /** Everything behind this sequence is remembered. */
  let floor = 0;
  let head = 0;
  let deaf = true;
  const listeners = new Set<Tell>();
  const since = (after: number | undefined): WireNews[] =>
    after === undefined || after < floor || after > head
      ? [{ sequence: head, reset: true }]
      : [...remembered.filter(({ sequence }) => sequence > after).map(lineOf), { sequence: head }];
  return {
    subscribe(after, tell) {
      if (deaf) return undefined;
      for (const line of since(after)) tell(line);
      listeners.add(tell);
      return () => void listeners.delete(tell);
    },
    begin(items) {
      remembered = [...items];
      floor = (items[0]?.sequence ?? 1) - 1;
      head = items.at(-1)?.sequence ?? 0;
      deaf = false;
      own.clear();
    },
    publish(items) {
      deaf = false;
      head = items.at(-1)?.sequence ?? head;
      remembered.push(...items);
      const gone = remembered.splice(0, remembered.length - MAX_REMEMBERED_NEWS);
      floor = gone.at(-1)?.sequence ?? floor;
      for (const item of items)
        if (item.everything) own.clear();
        else own.forget(item);
      const lines = items.length === 0 ? [{ sequence: head }] : items.map(lineOf);
      for (const tell of listeners) for (const line of lines) tell(line);
    },
    head: () => head,
    deafen: () => void (deaf = true),
  };
}

const lineOf = ({ sequence, ids, specs, everything }: NewsItem): WireNews =>
  everything ? { sequence, reset: true } : { sequence, ids, specs };
