/** What blind indexes tell without their keys: how often each value occurs; counted, measured and judged. */
import type { VisibleKind } from '../../phi/index.ts';

/** An index of fewer values, or with one value for so many, lets a list of the population be laid beside it. */
export const THRESHOLDS = {
  /** Of no more values nothing is said. */
  judgedFromValues: 101,
  leastDistinct: 20,
  mostInOneBucket: 0.2,
  leastEntropyBits: 4,
} as const;

export interface Measures {
  readonly values: number;
  readonly distinct: number;
  /** Values that are all the same: the most of these. */
  readonly largest: number;
  /** Of all values. */
  readonly largestShare: number;
  /** Shannon entropy of the values' frequencies. */
  readonly entropyBits: number;
  /** Entropy divided by that of the same number of equally frequent values. */
  readonly normalisedEntropy: number;
  /** How many values occur once, up to 10 times, up to 100 times, more often. */
  readonly occurring: Readonly<Record<Occurrence, number>>;
}

const OCCURRENCES = {
  once: 1,
  'to 10 times': 10,
  'to 100 times': 100,
  'more often': Number.POSITIVE_INFINITY,
} as const;
export type Occurrence = keyof typeof OCCURRENCES;

export type Verdict = 'accepted' | 'refused' | 'too few values';

export interface LeakageReport {
  /** All elements of one index class share a key: equal values are seen to be equal across them. */
  readonly classes: readonly ({
    readonly kind: string;
    readonly verdict: Verdict;
    readonly why: readonly string[];
  } & Measures)[];
  readonly elements: readonly ({ readonly kind: string; readonly element: string } & Measures)[];
  readonly resources: number;
  /** Resources that were not counted, by error code. */
  readonly skipped: Readonly<Record<string, number>>;
}

type Counts = Map<string, number>;

export interface Tally {
  count(kind: VisibleKind, element: string, value: string): void;
  report(resources: number, skipped: Readonly<Record<string, number>>): LeakageReport;
}

export function createTally(): Tally {
  const byKind = new Map<string, { all: Counts; byElement: Map<string, Counts> }>();
  return {
    count(kind, element, value) {
      const known = byKind.get(kind) ?? { all: new Map(), byElement: new Map() };
      byKind.set(kind, known);
      const ofElement = known.byElement.get(element) ?? new Map<string, number>();
      known.byElement.set(element, ofElement);
      add(known.all, value);
      add(ofElement, value);
    },
    report(resources, skipped) {
      const kinds = [...byKind].sort(([left], [right]) => (left < right ? -1 : 1));
      return {
        classes: kinds.map(([kind, { all }]) => judged(kind, measure(all))),
        elements: kinds.flatMap(([kind, { byElement }]) =>
          [...byElement].map(([element, counts]) => ({ kind, element, ...measure(counts) })),
        ),
        resources,
        skipped,
      };
    },
  };
}

function add(counts: Counts, value: string): void {
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

export function measure(counts: ReadonlyMap<string, number>): Measures {
  const sizes = [...counts.values()];
  const values = sizes.reduce((sum, size) => sum + size, 0);
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const entropyBits = sizes.reduce((sum, size) => sum - (size / values) * Math.log2(size / values), 0);
  return {
    values,
    distinct: sizes.length,
    largest,
    largestShare: values === 0 ? 0 : largest / values,
    entropyBits,
    normalisedEntropy: sizes.length < 2 ? 0 : entropyBits / Math.log2(sizes.length),
    occurring: occurrencesOf(sizes),
  };
}

function occurrencesOf(sizes: readonly number[]): Record<Occurrence, number> {
  const limits = Object.entries(OCCURRENCES) as [Occurrence, number][];
  const found = { once: 0, 'to 10 times': 0, 'to 100 times': 0, 'more often': 0 };
  for (const size of sizes) {
    const [name] = limits.find(([, limit]) => size <= limit) ?? [];
    if (name) found[name] += size;
  }
  return found;
}

function judged(kind: string, measures: Measures): LeakageReport['classes'][number] {
  const { values, distinct, largestShare, entropyBits } = measures;
  if (values < THRESHOLDS.judgedFromValues) return { kind, verdict: 'too few values', why: [], ...measures };
  const why = [
    ...(distinct < THRESHOLDS.leastDistinct ? [`fewer than ${THRESHOLDS.leastDistinct} distinct values`] : []),
    ...(largestShare > THRESHOLDS.mostInOneBucket
      ? [`one value has more than ${THRESHOLDS.mostInOneBucket * 100} % of all`]
      : []),
    ...(entropyBits < THRESHOLDS.leastEntropyBits ? [`less than ${THRESHOLDS.leastEntropyBits} bits of entropy`] : []),
  ];
  return { kind, verdict: why.length > 0 ? 'refused' : 'accepted', why, ...measures };
}
