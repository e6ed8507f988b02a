export {
  asKeywardError,
  type ErrorCode,
  type ErrorRow,
  ERRORS,
  KeywardError,
  toOperationOutcome,
  toProblem,
} from './errors.ts';
export { type AuditActor, type AuditEvent, type AuditSink, type Clock, type EventClass, systemClock } from './ports.ts';
export { newUuid } from './ids.ts';
export { createLog, type Log } from './log.ts';
export { type JsonLimits, parseJson } from './json.ts';
export { RESPONSE_HEADERS, TLS_POLICY } from './tls.ts';
export { dataPaths, type DataPaths } from './paths.ts';
export { PURPOSES_OF_USE } from './purposes.ts';
export { DURABLE_FILE, NEW_DURABLE_FILE, renameDurably, writeDurably } from './durable.ts';
export { processUri } from './process-identity.ts';
