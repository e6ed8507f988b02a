export { loadCatalogue } from './catalogue.ts';
export { startAdmin } from './admin.ts';
export { startCustodian } from './custodian.ts';
export { startGateway } from './gateway.ts';
export { acceptDatabase, type RecoveryInputs, rehearseRecovery, type RehearsedKeys, restoreKeys } from './recovery.ts';
export {
  loadLocated,
  type LocationOptions,
  PROCESS_NAMES,
  type ProcessContext,
  type ProcessName,
  type Running,
  runProcess,
} from './process.ts';
export { startStore } from './store.ts';
export { up, type UpOptions } from './up.ts';
