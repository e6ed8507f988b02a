/** One call for all who ask for the same secret at the same time; each gets bytes of its own. */

interface Flight {
  readonly bytes: Promise<Buffer>;
  waiting: number;
}

export type SharedBytes = (key: string, fetch: () => Promise<Buffer>) => Promise<Buffer>;

export function createSharedBytes(): SharedBytes {
  const flights = new Map<string, Flight>();
  return async (key, fetch) => {
    const flight = flights.get(key) ?? { bytes: fetch(), waiting: 0 };
    flights.set(key, flight);
    flight.waiting += 1;
    try {
      return Buffer.from(await flight.bytes);
    } finally {
      flights.delete(key);
      flight.waiting -= 1;
      if (flight.waiting === 0) await flight.bytes.then(wipe, () => undefined);
    }
  };
}

const wipe = (bytes: Buffer): void => void bytes.fill(0);
