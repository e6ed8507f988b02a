/** The token process: the library of an HSM runs here, where it can neither read keys of the custodian nor take it down. */
import { loadBinding } from './binding.ts';
import { createFrameReader, encodeFrame, type Frame } from './frames.ts';
import { CONTEXT_BYTES, type TokenReply, type TokenRequest } from './messages.ts';
import { openToken, type Token } from './token.ts';

/** Serves until its input ends, which is when the custodian does. */
export function serveToken(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): void {
  let token: Token | undefined;
  const act = (request: TokenRequest, bytes: Buffer): { hardware?: boolean; bytes?: Buffer } => {
    if (request.act === 'open') {
      const library = loadBinding();
      if (!library) throw new Error('BINDING_MISSING');
      token = openToken(library, request.settings);
      return { hardware: token.hardware };
    }
    if (!token) throw new Error('UNEXPECTED');
    const [context, rest] = [bytes.subarray(0, CONTEXT_BYTES), bytes.subarray(CONTEXT_BYTES)];
    return { bytes: token[request.act](rest, context) };
  };
  const answer = ({ message, bytes }: Frame): void => {
    const request = message as TokenRequest;
    try {
      const { bytes: result, ...rest } = act(request, bytes);
      send({ id: request.id, ...rest }, result);
    } catch (thrown) {
      send({ id: request.id, failure: failureOf(thrown) });
    } finally {
      bytes.fill(0);
    }
  };
  const send = (reply: TokenReply, bytes?: Buffer): void => {
    output.write(encodeFrame(reply, bytes));
    bytes?.fill(0);
  };
  input.on('data', createFrameReader(answer));
}

/** The library's words are `CKR_…`; of anything else nothing is told, since it may quote its input. */
function failureOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : '';
  return /CKR_[A-Z_]+|^[A-Z_]+$/.exec(text)?.[0] ?? 'UNEXPECTED';
}

if (import.meta.main) serveToken(process.stdin, process.stdout);
