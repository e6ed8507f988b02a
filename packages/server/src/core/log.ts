/** The process log: JSON lines of allow-listed fields, so that no value of a request can slip in (P2). */
import { pino } from 'pino';

/** Fields a log line may carry. A field that is not here does not exist for the log. */
export interface LogFields {
  readonly correlationId?: string;
  readonly code?: string;
  readonly status?: number;
  readonly method?: string;
  /** Route name of the pipeline, never a URL. */
  readonly route?: string;
  readonly durationMs?: number;
  readonly count?: number;
  readonly pid?: number;
  readonly port?: number;
  readonly process?: string;
  /** Name of the thrown class and its stack frames; its message is left out, since it may quote a value. */
  readonly error?: unknown;
}

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const ALLOWED = [
  'correlationId',
  'code',
  'status',
  'method',
  'route',
  'durationMs',
  'count',
  'pid',
  'port',
  'process',
] as const;

/** `event` is a constant text of ours, e.g. `request served`. */
export function createLog(processName: string, destination: { write(line: string): void } = process.stdout): Log {
  const logger = pino({ base: { name: processName }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const line = (fields: LogFields = {}) => {
    const allowed: Record<string, unknown> = {};
    for (const name of ALLOWED) if (fields[name] !== undefined) allowed[name] = fields[name];
    return fields.error === undefined ? allowed : { ...allowed, error: describe(fields.error) };
  };
  return {
    info: (event, fields) => logger.info(line(fields), event),
    warn: (event, fields) => logger.warn(line(fields), event),
    error: (event, fields) => logger.error(line(fields), event),
  };
}

/** Class, code and stack frames of an error and its causes; never a message. */
function describe(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  const code = (thrown as { code?: unknown }).code;
  return {
    type: thrown.name,
    ...(typeof code === 'string' ? { code } : {}),
    frames: (thrown.stack ?? '')
      .split('\n')
      .filter((text) => /^\s+at /.test(text))
      .map((text) => text.trim())
      .slice(0, 8),
    ...(thrown.cause === undefined ? {} : { cause: describe(thrown.cause) }),
  };
}
