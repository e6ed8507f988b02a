/** What operators can do to keys and ask about them: the shape of a row in the tables of acts and questions. */
import type { z } from 'zod';
import type { Operator, OperatorRole } from '../operators.ts';

export interface ActContext {
  /** Whoever asked for it; of an act under dual control the requester, after the approvals. */
  readonly by: Operator;
  readonly reason: string;
  readonly correlationId: string;
  /** Of an act under dual control: digest of the request that was approved, in hex. */
  readonly approvals?: string;
}

export interface Act<Params = unknown> {
  /** As the CLI and the API call it, e.g. `rotate`. */
  readonly name: string;
  /** One sentence for help texts and the API description. */
  readonly summary: string;
  /** Whoever has one of these may ask for it. */
  readonly role: OperatorRole | readonly OperatorRole[];
  /** Whether it waits for M of N approvals (K5). */
  readonly dual: boolean;
  /**
   * Done twice, it is as done once. When the custodian is killed in the middle of an approved act, such an act is done again at
   * its next start; any other counts as failed, and people look what became of it.
   */
  readonly repeatable?: true;
  /** Its result is JSON that it accepts again: of an act under dual control it is stored, shown and signed. */
  readonly params: z.ZodType<Params>;
  /** Key references for the ledger. */
  resources(params: Params): readonly string[];
  /** Its result is JSON and holds no key bytes. */
  run(params: Params, context: ActContext): Promise<unknown>;
}

/** Something operators may ask; nothing changes by it. */
export interface Question<Params = unknown> {
  readonly name: string;
  readonly summary: string;
  readonly roles: readonly OperatorRole[];
  readonly params: z.ZodType<Params>;
  resources(params: Params): readonly string[];
  answer(params: Params, context: { readonly by: Operator }): Promise<unknown>;
}
