/** A closed load of one kind of request: so many callers, each sending its next request when the last was answered. */
import type { Pool } from 'undici';

export interface Target {
  readonly pool: Pool;
  readonly path: (id: string) => string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Latencies of the answers of one or several rounds, and how long those rounds took together. */
export interface Sample {
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
}

export interface Figures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Reads the records in turn until `durationMs` have passed. @throws when an answer is not 200 */
export async function runRound(
  target: Target,
  ids: readonly string[],
  callers: number,
  durationMs: number,
): Promise<Sample> {
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const call = async (first: number) => {
    for (let turn = first; performance.now() - startedMs < durationMs; turn++) {
      const sentMs = performance.now();
      await read(target, ids[turn % ids.length] ?? '');
      latenciesMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, index) => call(index)));
  return { latenciesMs, elapsedMs: performance.now() - startedMs };
}

/** The whole body as text. */
export async function read({ pool, path, headers }: Target, id: string): Promise<string> {
  const { statusCode, body } = await pool.request({ method: 'GET', path: path(id), headers });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${path(id)} was answered with ${statusCode}`);
  return text;
}

export function figuresOf(rounds: readonly Sample[]): Figures {
  const sorted = rounds.flatMap(({ latenciesMs }) => latenciesMs).toSorted((left, right) => left - right);
  const elapsedMs = rounds.reduce((sum, round) => sum + round.elapsedMs, 0);
  return {
    requestsPerSecond: (sorted.length * 1000) / elapsedMs,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
}

/** Nearest rank. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}
