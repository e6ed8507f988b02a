/** Frames over a pipe: whole however they arrive, and nothing else is taken for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFrameReader, encodeFrame, type Frame } from './frames.ts';

function readAll(pipe: Buffer, chunkBytes: number): Frame[] {
  const frames: Frame[] = [];
  const read = createFrameReader((frame) => frames.push(frame));
  for (let at = 0; at < pipe.length; at += chunkBytes) read(Buffer.from(pipe.subarray(at, at + chunkBytes)));
  return frames;
}

test('[K10] frames come out whole, in whatever pieces they arrive', () => {
  const sent = [
    { message: { id: 1, text: 'schlüssel' }, bytes: Buffer.alloc(0) },
    { message: { id: 2 }, bytes: Buffer.from('secret') },
  ];
  const pipe = Buffer.concat(sent.map(({ message, bytes }) => encodeFrame(message, bytes)));
  for (const size of [1, 2, 7, 9, pipe.length]) assert.deepEqual(readAll(pipe, size), sent);
});

test('[K10] what was read is wiped from the pieces it arrived in', () => {
  const chunk = encodeFrame({ id: 1 }, Buffer.from('secret'));
  createFrameReader(() => undefined)(chunk);
  assert.deepEqual(chunk, Buffer.alloc(chunk.length));
});

test('[K10] a pipe that holds something else is given up before it fills the memory', () => {
  assert.throws(() => readAll(Buffer.from('HTTP/1.1 400 Bad Request'), 24), RangeError);
});
