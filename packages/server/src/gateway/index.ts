export { createGatewayServer, type GatewayServer } from './server.ts';
export { DEFAULT_POLICY, loadPolicy } from './policy.ts';
export { createSubjectScopes } from './subjects.ts';
export { createUpstream, type Upstream } from './upstream.ts';
export type { Gateway } from './exchange.ts';
