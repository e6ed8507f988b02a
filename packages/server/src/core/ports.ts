/** Ports: what a room needs from rooms it must not import. `main.ts` connects them. */

/** Where the ledger is; a caller awaits `record` before the act it names (L1). */
export interface AuditSink {
  /**
   * Resolves when every event is durable, in order.
   * @throws KeywardError `LEDGER_UNAVAILABLE` when it could not be recorded before the deadline; the caller fails closed.
   */
  record(events: readonly AuditEvent[]): Promise<void>;
}

export type EventClass =
  /** a write is about to go upstream */
  | 'write.intent'
  /** what became of that write */
  | 'write.outcome'
  /** something is about to be opened for a reader */
  | 'disclosure'
  /** a request was refused */
  | 'denial'
  /** a request was permitted and failed */
  | 'failure'
  /** the custodian is about to hand out keys */
  | 'key.access'
  /** the life of a key is about to change */
  | 'key.lifecycle'
  /** a key was asked for that nobody should ask for any more, or is past its time */
  | 'key.alarm'
  /** a process began or ended to serve, or an operator read through the admin API */
  | 'admin';

/** Who did what to which record, why; never clinical content, never an identifier or a bare hash of one. */
export interface AuditEvent {
  /** UUID; appending the same id twice keeps one entry. */
  readonly id: string;
  readonly at: Date;
  readonly class: EventClass;
  readonly tenant: string;
  /** One per request; the same on the gateway, the custodian and in every error body. */
  readonly correlationId: string;
  readonly actor: AuditActor;
  /** FHIR interaction, key operation or administrative verb. */
  readonly interaction: string;
  /** `Type/id` or `Type/id/_history/version`; at most 500 in one event (split larger ones). */
  readonly resources?: readonly string[];
  /** Subject scopes (UUIDs minted by the gateway). */
  readonly subjects?: readonly string[];
  readonly purpose?: string;
  readonly decision: 'permit' | 'deny';
  /** The policy rule or check that decided. */
  readonly rule: string;
  /** Why, in an operator's words: at most 500 characters, never PHI. */
  readonly reason?: string;
  /** Field classes opened or masked. */
  readonly classes?: readonly string[];
  readonly keyIds?: readonly string[];
  /** HTTP status when known. */
  readonly status?: number;
  /** Error code of a denial or failure. */
  readonly code?: string;
}

export interface AuditActor {
  /** `sub` of the token, or the process name. `-` when nobody was authenticated. */
  readonly sub: string;
  readonly role?: string;
  readonly client?: string;
  readonly issuer?: string;
  /** Remote IP address. */
  readonly address?: string;
}

/** Time and randomness arrive as arguments, so that tests can hold them still. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };
