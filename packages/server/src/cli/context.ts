/** What every verb is given: the terminal, the clock, and the functions of rooms that `main.ts` connects. */
import type { Clock } from '../core/index.ts';
import type { Role } from './roles.ts';
import type { Terminal } from './terminal.ts';

/** Options that every verb has. */
export interface CommonOptions {
  readonly dataDir: string;
  /** keyward.yaml. */
  readonly config?: string;
  readonly json?: boolean;
}

export interface UpOptions extends CommonOptions {
  readonly gatewayPort?: number;
  readonly adminPort?: number;
}

interface TokenOptions extends CommonOptions {
  readonly role: Role;
  readonly sub: string;
  /** Patient in context. */
  readonly patient?: string;
  readonly scope: string;
  readonly purpose: string;
  /** Whether the token says that a second factor was used. */
  readonly mfa: boolean;
  readonly ttlSeconds: number;
}

/** One row of `config explain`; the config room makes them, with secrets already redacted. */
export interface ConfigRow {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
  readonly env: string;
  readonly description: string;
  readonly secret: boolean;
}

/** What `doctor` cannot find out by itself. */
export interface DoctorFacts {
  readonly gatewayPort: number;
  readonly adminPort: number;
  /** Root key file of the development root; undefined when another root is configured. */
  readonly developmentRootFile?: string | undefined;
}

export interface CliServices {
  /** Runs until it is told to stop. */
  up(options: UpOptions): Promise<void>;
  /** A JWT of the development issuer. @throws KeywardError `CLI_NO_DEV_ISSUER` */
  mintToken(options: TokenOptions): Promise<string>;
  explainConfig(options: CommonOptions): readonly ConfigRow[];
  doctorFacts(options: CommonOptions): DoctorFacts;
  /** Version line of the PostgreSQL that comes with Keyward. @throws KeywardError `DB_BINARY` */
  postgresVersion(): Promise<string>;
  /** Name of the seal engine that this machine uses. */
  sealEngine(): string;
}

export interface CliContext {
  readonly services: CliServices;
  readonly terminal: Terminal;
  readonly clock: Clock;
}
