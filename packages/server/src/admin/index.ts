/** The admin room's front door: the HTTPS API for the CLI, for probes and for Prometheus. */
export { type AdminServer, createAdminServer } from './server.ts';
