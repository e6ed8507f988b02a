/** What a resource violates: where, and which rule; never what stood there. */

export interface Violation {
  /** From the resource type on, with positions: `Patient.name[0].family`. */
  readonly path: string;
  /** Completes the sentence that begins with the path. */
  readonly rule: string;
}

/** So many are told at once. */
export const MAX_VIOLATIONS = 20;

export type Path = readonly (string | number)[];

/** The violations of one resource, in the order they were found. */
export class Violations {
  readonly found: Violation[] = [];

  get full(): boolean {
    return this.found.length >= MAX_VIOLATIONS;
  }

  add(path: Path, rule: string): void {
    if (!this.full) this.found.push({ path: textOf(path), rule });
  }
}

const textOf = (path: Path): string =>
  path.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('');

/** For the public detail of an error. */
export const describeViolations = (violations: readonly Violation[]): string =>
  violations.map(({ path, rule }) => `${path} ${rule}.`).join(' ');
