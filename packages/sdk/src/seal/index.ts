export type { DataKey, FieldContext, Json, KeyId, OpenItem, SealEngine, SealItem } from './types.ts';
