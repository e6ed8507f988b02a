export { loadApis } from './json/apis.ts';
export { createGatewayServer, type GatewayServer } from './server.ts';
export { DEFAULT_POLICY, loadPolicy } from './policy.ts';
export { loadProfiles } from './profiles.ts';
export { createSubjectScopes, type SubjectScopes } from './subjects.ts';
export { createKeyedLock } from './keyed-lock.ts';
export { createUpstream, type Upstream } from './upstream.ts';
export type { Gateway } from './exchange.ts';
export { contextOf, proofSite } from './seal-context.ts';
