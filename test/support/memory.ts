/** The memory of another process, read as whoever may trace it could: for tests that look for keys where none may be. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Read at once; a needle that lies over the border of two parts is found in their overlap. */
const PART_BYTES = 8 * 1024 * 1024;

interface Region {
  readonly start: number;
  readonly end: number;
}

/** Why the memory of processes cannot be read here; undefined when it can. */
export function whyUnreadable(pid: number = process.pid): string | undefined {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return undefined;
  } catch (error) {
    return `/proc/${pid}/mem cannot be read here (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** How often each needle lies in the writable memory of a process, in their order. */
export function copiesIn(pid: number, needles: readonly Buffer[]): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const part = Buffer.alloc(PART_BYTES + overlap);
  try {
    for (const { start, end } of writableRegions(pid)) {
      for (let at = start; at < end; at += PART_BYTES) {
        const length = readPart(memory, part, at, Math.min(PART_BYTES + overlap, end - at));
        for (const [index, needle] of needles.entries()) counts[index]! += countIn(part.subarray(0, length), needle);
      }
    }
  } finally {
    closeSync(memory);
    part.fill(0);
  }
  return counts;
}

/** proc_pid_maps(5): address range, then permissions. */
function writableRegions(pid: number): Region[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
  return lines.flatMap((line) => {
    const [, start = '', end = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    return start === '' ? [] : [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
  });
}

/** Pages that nobody may read, or that have gone meanwhile, hold nothing. */
function readPart(memory: number, part: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, part, 0, length, at);
  } catch {
    return 0;
  }
}

/** Matches that begin in the part itself: what begins in the overlap belongs to the next one. */
function countIn(bytes: Buffer, needle: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(needle); at >= 0 && at < PART_BYTES; at = bytes.indexOf(needle, at + 1)) count += 1;
  return count;
}
