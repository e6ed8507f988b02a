/** The authenticated context of a field: the bytes (AAD) that bind a token to tenant, record, element and class. */
import { SealError } from './errors.ts';
import { CONTEXT_LABEL, CONTEXT_LENGTH_BYTES } from './format.ts';
import type { FieldContext } from './types.ts';

/** The order of the parts is part of the format. Those of the object come first: the fields of one object share them. */
const OBJECT_MEMBERS = ['tenant', 'scope', 'objectType', 'objectId'] as const;
const FIELD_MEMBERS = ['path', 'datatype', 'fieldClass'] as const;

/** UTF-8 needs at most this many bytes for one UTF-16 unit. */
const UTF8_MAX_BYTES = 3;
const INITIAL_BYTES = 512;

export function contextBytes(context: FieldContext): Buffer {
  return Buffer.from(new ContextWriter().write(context));
}

/** Encodes contexts one after the other into one buffer; the part that belongs to the object is kept while the object stays the same. */
export class ContextWriter {
  #bytes = Buffer.allocUnsafe(INITIAL_BYTES);
  /** Copies of the texts behind the kept part: a caller may reuse and change its context object. */
  #kept: readonly string[] = [];
  #keptBytes = 0;

  /** The bytes are valid until the next call. */
  write(context: FieldContext): Uint8Array {
    if (!OBJECT_MEMBERS.every((member, position) => this.#kept[position] === context[member])) this.#keep(context);
    let end = this.#keptBytes;
    for (const member of FIELD_MEMBERS) end = this.#append(context[member], end);
    return this.#bytes.subarray(0, end);
  }

  #keep(context: FieldContext): void {
    this.#kept = [];
    let end = this.#append(CONTEXT_LABEL, 0);
    for (const member of OBJECT_MEMBERS) end = this.#append(context[member], end);
    this.#keptBytes = end;
    this.#kept = OBJECT_MEMBERS.map((member) => context[member]);
  }

  #append(text: string, start: number): number {
    // Lone surrogates would all become U+FFFD: two contexts with the same bytes.
    if (typeof text !== 'string' || text === '' || !text.isWellFormed()) throw new SealError('SEAL_VALUE_UNSUPPORTED');
    this.#reserve(start + CONTEXT_LENGTH_BYTES + text.length * UTF8_MAX_BYTES);
    const textBytes = this.#bytes.write(text, start + CONTEXT_LENGTH_BYTES, 'utf8');
    return this.#bytes.writeUInt32BE(textBytes, start) + textBytes;
  }

  #reserve(neededBytes: number): void {
    if (neededBytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(neededBytes * 2);
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}
