/** The command line's front door: one program, one verb per file in commands/. */
export { buildCli, runCli } from './cli.ts';
export type { CliServices, CommonOptions, ConfigRow, DoctorFacts, TokenOptions, UpOptions } from './context.ts';
export { type Output, processTerminal, type Terminal } from './terminal.ts';
export { readyScreen } from './ready-screen.ts';
export { type Instance, instanceFile, writeInstance } from './instance.ts';
