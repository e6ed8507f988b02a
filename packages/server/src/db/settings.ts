/** Settings of the embedded server, given on its command line so that nothing inside the cluster can change them. */

/** Sessions of all processes together; each process declares the size of its pools. */
const MAX_CONNECTIONS = 60;

/**
 * Nothing a client sends may reach the server's log: ERROR messages, DETAIL and CONTEXT lines quote values.
 * `log` ranks above ERROR for the log, so start, crash recovery and refused logins stay visible.
 */
const QUIET_LOG = {
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_lock_waits: 'off',
  log_autovacuum_min_duration: '-1',
  log_temp_files: '-1',
  log_replication_commands: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] ',
  log_timezone: 'UTC',
} as const;

/** A commit that was acknowledged survives the loss of power: the ledger rests on it. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } as const;

const MODEST = {
  max_connections: String(MAX_CONNECTIONS),
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  max_logical_replication_workers: '0',
  jit: 'off',
} as const;

/** Command line of the server; only this host reaches it, over TCP, since a socket path may be too long. */
export function serverArguments(clusterDir: string, host: string, port: number): string[] {
  const settings = {
    listen_addresses: host,
    port: String(port),
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
    ...DURABLE,
    ...MODEST,
    ...QUIET_LOG,
  };
  return ['-D', clusterDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}
