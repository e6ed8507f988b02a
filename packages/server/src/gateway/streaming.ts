/** Sends text while it is made, as fast as the client takes it; what does not come to its end never looks as if it had. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';

/** A client that takes nothing for so long has gone; longer than the upstream may be silent. */
const STALLED_MS = 120_000;

/**
 * The head has been written. When the text fails on the way, `failed` hears of it, and then the connection is closed before the last chunk
 * (RFC 9112 §8: incomplete); when the client leaves, no more text is made.
 *
 * @returns whether the client took all of it
 */
export async function sendStream(
  response: ServerResponse,
  text: AsyncIterable<string>,
  failed: (error: unknown) => Promise<void>,
): Promise<boolean> {
  async function* watched(): AsyncGenerator<string> {
    try {
      yield* text;
    } catch (error) {
      await failed(error);
      await breakOff(response);
      throw error;
    }
  }
  response.setTimeout(STALLED_MS);
  return pipeline(watched, response).then(
    () => true,
    () => false,
  );
}

/** Closes the connection without the last chunk, behind what was written: that much is authentic, and its head has the correlation id. */
async function breakOff(response: ServerResponse): Promise<void> {
  // What was written in this turn of the event loop reaches the socket only with the next.
  await setImmediate();
  const { socket } = response;
  if (!socket || socket.destroyed) return;
  const closed = once(response, 'close');
  socket.destroySoon();
  await closed;
}
