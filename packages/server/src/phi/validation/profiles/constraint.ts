/** A profile, compiled: a tree of what it demands beyond R4; what adds nothing to R4 is not in it. */
import type { Json } from '@keyward/sdk/seal';
import type { Element } from '../../structure.ts';

/** A test of one value, with the end of the sentence "this element …". */
export interface ValueRule {
  readonly rule: string;
  /** `undefined`: an element that has only extensions. */
  readonly holds: (value: Json | undefined) => boolean;
  /** Whether it can tell one slice from another. */
  readonly distinguishes: boolean;
  /** The fixed value or the pattern, where it is one. */
  readonly example: Json | undefined;
}

/** A profile that is referred to; its constraints are there once everything is compiled. */
export interface ProfileRef {
  readonly url: string;
  root: Constraint | undefined;
}

export interface Constraint {
  /** Last part of the element's id: `identifier`, `value[x]`, `extension:race`. */
  readonly label: string;
  readonly stem: string;
  /** The members it may be, by their names in JSON. */
  readonly variants: readonly Element[];
  /** Names of the variants, or types of the resource, that are left; undefined: all. */
  readonly allowed: ReadonlySet<string> | undefined;
  readonly min: number;
  /** Infinity for `*`. */
  readonly max: number;
  readonly rules: readonly ValueRule[];
  readonly targets: ReadonlySet<string> | undefined;
  /** By JSON name: a value must satisfy one of these. */
  readonly profiles: ReadonlyMap<string, readonly ProfileRef[]>;
  readonly children: readonly Constraint[];
  readonly slicing: Slicing | undefined;
}

export interface Slicing {
  readonly closed: boolean;
  readonly ordered: boolean;
  readonly slices: readonly Slice[];
}

/** An element of a list, or a value, as it was found. */
export interface Occurrence {
  readonly element: Element;
  readonly value: Json | undefined;
  /** What stands beside a primitive. */
  readonly beside: Json | undefined;
  /** Undefined where the element is no list. */
  readonly index: number | undefined;
}

export interface Slice {
  readonly constraint: Constraint;
  /** Set when all profiles are compiled: a discriminator may look into another profile. */
  matches: (occurrence: Occurrence) => boolean;
}
