/** What every verb is given: the terminal, the clock, and the functions of rooms that `main.ts` connects. */
import type { ConfigRow } from '../config/index.ts';
import type { Clock } from '../core/index.ts';
import type { Catalogue, FieldClass } from '../phi/index.ts';
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

/** One of the processes that `up` starts; each is a verb too. */
export interface ProcessVerb {
  readonly name: string;
  readonly description: string;
  /** Runs until it is told to stop. @throws KeywardError why it could not start. */
  readonly run: (options: CommonOptions) => Promise<void>;
}

/** What `doctor` cannot find out by itself. */
export interface DoctorFacts {
  readonly gatewayPort: number;
  readonly adminPort: number;
  readonly developmentRootFile: string;
}

export interface Sealing {
  readonly catalogue: Catalogue;
  /** Roles of the access policy that some rule lets open a class of a type. */
  readonly openedBy: (type: string, fieldClass: FieldClass) => readonly string[];
}

export interface CliServices {
  /** Runs until it is told to stop. */
  up(options: UpOptions): Promise<void>;
  readonly processes: readonly ProcessVerb[];
  /** A JWT of the development issuer. @throws KeywardError `CLI_NOT_READY` | `CLI_NO_DEV_ISSUER` */
  mintToken(options: TokenOptions): Promise<string>;
  /** Secrets are redacted already. */
  explainConfig(options: CommonOptions): readonly ConfigRow[];
  /** What is sealed by the configuration, and who may open it. */
  sealing(options: CommonOptions): Sealing;
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
