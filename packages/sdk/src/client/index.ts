export type { KeyService, KeySpec, KeyUse } from './types.ts';
