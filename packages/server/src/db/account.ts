/** The account PostgreSQL runs under: itself refuses to run as root, so root hands it to an unprivileged user. */
import { KeywardError } from '../core/index.ts';

export interface ServerAccount {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface AccountFacts {
  /** Our own user id; undefined where the system has none. */
  readonly uid: number | undefined;
  readonly platform: NodeJS.Platform;
  /** Text of /etc/passwd. */
  readonly passwd: string;
  /** Who owns the cluster directory, once there is one. */
  readonly clusterOwner: number | undefined;
}

/** Unprivileged users every Linux knows, in the order we prefer them. */
const CANDIDATES = ['postgres', 'nobody'] as const;

/** Undefined means: as the user we are. A cluster made earlier decides, since only its owner can open it. */
export function chooseAccount(facts: AccountFacts): ServerAccount | undefined {
  if (facts.uid !== 0) return refuseForeignCluster(facts);
  if (facts.platform !== 'linux') {
    throw new KeywardError('DB_BINARY', {
      detail:
        'PostgreSQL does not run as root, and on this system Keyward cannot hand it to another user: start Keyward as an ordinary user.',
    });
  }
  const users = parsePasswd(facts.passwd);
  const chosen = facts.clusterOwner
    ? users.find((user) => user.uid === facts.clusterOwner)
    : CANDIDATES.map((name) => users.find((user) => user.name === name)).find((user) => user !== undefined);
  if (chosen) return chosen;
  throw new KeywardError('DB_BINARY', {
    detail:
      'PostgreSQL does not run as root, and no user "postgres" or "nobody" can run it: start Keyward as an ordinary user.',
  });
}

function refuseForeignCluster(facts: AccountFacts): undefined {
  const { uid, clusterOwner } = facts;
  if (uid === undefined || clusterOwner === undefined || uid === clusterOwner) return undefined;
  throw new KeywardError('UP_DATA_DIR', {
    detail: 'The database in it belongs to another user: start Keyward as the user who made it.',
  });
}

function parsePasswd(text: string): ServerAccount[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter((user) => Number.isSafeInteger(user.uid) && user.uid !== 0);
}
