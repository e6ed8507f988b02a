export {
  createDevelopmentKey,
  DEVELOPMENT_ISSUER,
  developmentPublicKey,
  type MintRequest,
  mintDevelopmentToken,
  removeDevelopmentKey,
} from './development-issuer.ts';
export { createIssuerDiscovery, type IssuerDescription, type IssuerDiscovery } from './discovery.ts';
export type { Principal } from './principal.ts';
export { callerAddress, createTokenVerifier, type TokenVerifier } from './verifier.ts';
