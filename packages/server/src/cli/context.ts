/** What every verb is given: the terminal, the clock, and the functions of rooms that `main.ts` connects. */
import type { ConfigRow } from '../config/index.ts';
import type { Clock } from '../core/index.ts';
import type { KeyService } from '@keyward/sdk/client';
import type { Restored, RootDescription, Share, WaitingAnew } from '../keys/index.ts';
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

/** Options of verbs that speak to an instance whose tokens come from a real issuer. */
export interface TokenSourceOptions extends CommonOptions {
  /** File with an access token; without it KEYWARD_TOKEN counts, and without that the development issuer mints one. */
  readonly tokenFile?: string;
  /** `sub` of tokens that the development issuer mints. */
  readonly as?: string;
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
}

export interface Sealing {
  readonly catalogue: Catalogue;
  /** Roles of the access policy that some rule lets open a class of a type. */
  readonly openedBy: (type: string, fieldClass: FieldClass) => readonly string[];
}

/** A backup, and the shares that its holders opened. */
interface RecoveryInputs {
  readonly backup: string;
  readonly shares: readonly Share[];
  readonly say: (line: string) => void;
}

/** Keys of a restored hierarchy, as the processes may have them. */
export interface RehearsedKeys {
  readonly tenant: string;
  readonly gateway: KeyService;
  readonly store: KeyService;
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
  /** Opens the configured root for a moment. @throws KeywardError why it cannot be used */
  describeRoot(options: CommonOptions): Promise<RootDescription>;
  /** @throws KeywardError `KEYS_RESTORE_REFUSED` | `KEYS_BACKUP_INVALID` */
  restoreKeys(options: CommonOptions, inputs: RecoveryInputs): Promise<Restored>;
  /** Restores on the side, for as long as `work` takes. */
  rehearseRecovery<T>(
    options: CommonOptions,
    inputs: RecoveryInputs,
    work: (keys: RehearsedKeys) => Promise<T>,
  ): Promise<T>;
  /** @throws KeywardError `KEYS_BACKUP_INVALID` | `UP_ALREADY_RUNNING` */
  acceptRollback(options: CommonOptions, inputs: RecoveryInputs): Promise<readonly WaitingAnew[]>;
  /** Version line of the PostgreSQL that comes with Keyward. @throws KeywardError `DB_BINARY` */
  postgresVersion(): Promise<string>;
  /** Name of the seal engine that this machine uses. */
  sealEngine(): string;
}

export interface CliContext {
  readonly services: CliServices;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
}
