/** The command line's front door: one program, one verb per file in commands/. */
export { runCli } from './cli.ts';
export type { CliServices } from './context.ts';
export { processTerminal } from './terminal.ts';
export { readyScreen } from './ready-screen.ts';
export { instanceFile, writeInstance } from './instance.ts';
