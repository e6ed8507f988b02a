/** Random identifiers. */
import { randomUUID } from 'node:crypto';

/** A version 4 UUID: nothing about the thing it names can be read from it. */
export const newUuid = (): string => randomUUID();
