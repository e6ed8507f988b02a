/** What the admin API has of the custodian's desk for operators: it carries calls there, and decides nothing. */

export interface KeyCall {
  readonly method: 'GET' | 'POST';
  /** Below the custodian's /v1/manage, e.g. `acts/rotate`. */
  readonly path: string;
  readonly body?: unknown;
  /** The operator's own token: the custodian verifies it itself. */
  readonly operator: string | undefined;
  readonly correlationId: string;
}

export type ManageKeys = (call: KeyCall) => Promise<unknown>;
