/**
 * What custodian and token process tell each other over a pipe: a JSON text and bytes beside it, so that secrets stay in buffers
 * that can be wiped.
 *
 *     length of the text, 4 · length of the bytes, 4 · text · bytes
 */

export interface Frame {
  readonly message: unknown;
  readonly bytes: Buffer;
}

const HEAD_BYTES = 8;
/** Far above any message; a pipe that holds something else ends the process instead of filling its memory. */
const MAX_FRAME_BYTES = 64 * 1024;

export function encodeFrame(message: object, bytes: Uint8Array = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(JSON.stringify(message), 'utf8');
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(text.length, 0);
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([head, text, bytes]);
}

/** Takes what arrives and calls back for each whole frame; the bytes of a frame are the callee's to wipe. */
export function createFrameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    const joined = Buffer.concat([pending, chunk]);
    pending.fill(0);
    chunk.fill(0);
    const rest = takeFrames(joined, onFrame);
    pending = Buffer.from(rest);
    joined.fill(0);
  };
}

/** @throws RangeError when the pipe holds something else than frames */
function takeFrames(joined: Buffer, onFrame: (frame: Frame) => void): Buffer {
  let rest = joined;
  while (rest.length >= HEAD_BYTES) {
    const [textBytes, sizeBytes] = [rest.readUInt32BE(0), rest.readUInt32BE(4)];
    const frameBytes = HEAD_BYTES + textBytes + sizeBytes;
    if (frameBytes > MAX_FRAME_BYTES) throw new RangeError('no frame');
    if (rest.length < frameBytes) return rest;
    const text = rest.toString('utf8', HEAD_BYTES, HEAD_BYTES + textBytes);
    onFrame({ message: JSON.parse(text), bytes: Buffer.from(rest.subarray(HEAD_BYTES + textBytes, frameBytes)) });
    rest = rest.subarray(frameBytes);
  }
  return rest;
}
