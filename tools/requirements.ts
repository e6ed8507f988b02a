/** What Keyward promises, how far each promise is held, and the tests that carry its id: the page docs/reference/requirements.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const TEST_FOLDERS = ['packages', 'test', 'tools', 'examples'];

type Status = 'held' | 'first step' | 'not yet';
type Row = readonly [id: string, promise: string, status: Status, note?: string];

const AREAS: Readonly<Record<string, string>> = {
  T: 'Data in transit',
  E: 'Data at rest',
  K: 'Keys',
  A: 'Access',
  P: 'Privacy of the wire and the logs',
  L: 'Audit ledger',
  I: 'Incidents',
  G: 'Governance',
  S: 'Scale and service',
};

// biome-ignore format: a table
const REQUIREMENTS: readonly Row[] = [
  ['T1', 'Every listener speaks TLS 1.3; older versions cannot be switched on.', 'first step', 'Gateway and admin. The embedded PostgreSQL listens on loopback without TLS.'],
  ['T2', 'AES-256-GCM first, ChaCha20-Poly1305 second; hybrid post-quantum group preferred; forward secrecy always.', 'first step', 'No FIPS variant.'],
  ['T3', 'HSTS on every response, no plaintext listener.', 'first step', 'Every answer of gateway and admin. The embedded PostgreSQL listens on loopback without TLS.'],
  ['T4', 'Mutual TLS, per listener and route, and towards the upstream.', 'first step', 'Between the custodian and processes of other hosts. Not at gateway or admin, and not towards the upstream.'],
  ['T5', 'Tokens bound to the client (RFC 8705, DPoP).', 'not yet'],
  ['T6', 'Certificates look after themselves: internal CA, renewal, revocation, ACME.', 'first step', 'An internal CA issues and renews the server certificate, for the configured hosts, when a process starts. No revocation, no ACME.'],
  ['T7', 'A scanner grades any endpoint.', 'not yet'],
  ['T8', 'FIPS mode, with an honest report of the module that runs.', 'not yet'],
  ['E1', 'Field-level AES-256-GCM of direct identifiers in FHIR R4 and in any JSON API, without a change to the upstream.', 'held', 'JSON APIs as far as their description goes. Run over HAPI FHIR 8.6.0, Medplum\'s router 5.2.13 and the built-in store.'],
  ['E2', 'Envelope encryption: root → tenant KEK → one data key per patient; data keys stored only wrapped.', 'held', 'Roots other than local were run against the backends in docs/reference/roots.md, fakes among them; none against a real HSM or cloud account. The scope of a Patient, which chooses the key, is proved, and so is the completeness of every record.'],
  ['E3', 'What the built-in store keeps is sealed whole.', 'held', 'Its search indexes hold codes, dates and references in clear; see SECURITY.md.'],
  ['E4', 'Streaming encryption of files and objects.', 'not yet'],
  ['E5', 'Sealed messages for Kafka, AMQP and NATS.', 'not yet'],
  ['E6', 'Backups are sealed and restorable.', 'first step', 'Of the key hierarchy: sealed, restorable, rehearsed. Of the rest: a stopped data directory can be copied; see docs/how-to/backup-and-restore.md.'],
  ['E7', 'Exact search on sealed identifiers, names, telecom and postal code; birth date by bucket; opt-in prefix.', 'held', 'Prefix search is opt-in. An identifier that R4 allows once only is found by system and value.'],
  ['E8', 'Surrogate identifiers per partner.', 'not yet'],
  ['E9', 'Online backfill of existing plaintext; re-encryption.', 'first step', 'Whole for FHIR; re-encryption of what stands under keys that were rotated or compromised (--rekey). Not for JSON APIs, bodies of the built-in store and the ledger. Earlier versions and backups of the upstream keep the old plaintext.'],
  ['E10', 'Posture of the disks, databases and cloud storage below.', 'not yet'],
  ['K1', 'Life cycle of NIST SP 800-57 per key version, every transition audited.', 'held', 'Of KEKs and data keys. The state of a root key is its backend\'s; of a cloud key it is checked.'],
  ['K2', 'Keys come from an approved generator, inside the HSM or KMS where there is one.', 'first step', 'KEKs and data keys: OpenSSL\'s generator inside Node.js. Root keys are made in the HSM or KMS.'],
  ['K3', 'Cryptoperiods; rotation on schedule, by count, by command and by event.', 'held', 'KEK and data keys. Index and pseudonym keys are not rotated; a root key past its time raises an alarm.'],
  ['K4', 'Separation of duties between those who manage and those who use keys.', 'held', 'Between processes, and between operators; checked at grant and at use. Role rows in the key database carry no MAC.'],
  ['K5', 'Dual control (M of N).', 'held', 'No export exists; recovery takes a quorum of shares.'],
  ['K6', 'Every key access is recorded before the key is handed out: no record, no key.', 'held', 'A process that holds an opened key does not ask again; its own entries name the keys it used. Making a key is recorded before it exists.'],
  ['K7', 'Disable before destroy, waiting period, certificate.', 'held', 'PostgreSQL\'s write-ahead log and copies of files keep wrapped bytes; see SECURITY.md.'],
  ['K8', 'Recovery and revocation.', 'held', 'Into empty installations only. A database and its mark that are put back together are not noticed. No revocation of certificates.'],
  ['K9', 'Roots: local, PKCS#11, AWS, Azure, Google Cloud, Vault/OpenBao; one conformance suite.', 'first step', 'All six pass one suite: PKCS#11 on SoftHSM2, Transit on OpenBao, AWS on moto; Azure and Google Cloud on fakes of ours. None on a real HSM or cloud account.'],
  ['K10', 'Applications never hold a KEK; key bytes are wiped; key material lives in its own process.', 'held', 'As far as JavaScript can promise it: buffers of ours are wiped, lifetimes bounded; Node\'s permission model is no jail.'],
  ['K11', 'Destroying a patient\'s key makes that patient\'s data unreadable everywhere.', 'held', 'Store, history, caches, and backups in the backup directory. Not: copies elsewhere, what several patients share, what is never sealed; see docs/reference/key-lifecycle.md.'],
  ['K12', 'A Key Management Plan from the running configuration.', 'held', 'Markdown, HTML and JSON; it names its own gaps.'],
  ['K13', 'Shared secrets are kept, rotated and handed out by the custodian; configuration holds references only.', 'first step', 'Processes make their own credentials, one file each; secrets of roots are named by file or variable; no secret is a configuration value. Not rotated, not handed out by the custodian.'],
  ['A1', 'OAuth 2.0 / OpenID Connect: JWTs validated at the gateway; introspection for opaque tokens.', 'first step', 'JWTs only.'],
  ['A2', 'MFA of every workforce member; service accounts prove possession.', 'first step', 'Where the policy says so, `amr` must name `mfa` or two kinds of factor; no `acr`, no freshness, no proof of possession.'],
  ['A3', 'RBAC on every endpoint, deny by default; SMART scopes; patient compartment; purpose of use; an explanation of each decision.', 'first step', 'No `access explain`; the ledger names the deciding rule. Patient-limited rules are read-only; JSON APIs have no compartments.'],
  ['A4', 'Minimum necessary: what role and purpose do not need is not opened; a partial read never erases data on write-back.', 'first step', 'Per class of identifying elements, and per selection of the client (`_elements`, `_summary`). Clear elements (codes, dates, results) are not narrowed by role.'],
  ['A5', 'Request and response schemas are validated at the gateway.', 'first step', 'Requests: R4, profiles, schemas of JSON APIs. Answers: structure of FHIR, schemas of JSON APIs. Of FHIRPath invariants only those about presence; no profiles on what comes back.'],
  ['A6', 'Rate limits and load shedding.', 'first step', 'Keys per process and person, at the custodian. At the gateway sizes, depths, times, parameters, alternatives and entries are bounded; nothing counts requests.'],
  ['A7', 'Break-glass.', 'not yet'],
  ['A8', 'Every request is judged anew; network segments declared and enforced.', 'not yet', 'Role, purpose and scopes are judged per request; tokens cannot be revoked before they expire.'],
  ['P1', 'No PHI in URLs, links, cursors, Location or error texts.', 'first step', 'A logical id a client puts into a path is not compared with known identifiers on reads; an identifier in a search parameter on a clear element is not recognised.'],
  ['P2', 'Logs cannot print PHI.', 'first step', 'Allow-listed fields, and a canary test over every file and log.'],
  ['P3', 'Logs at rest are encrypted and kept.', 'not yet'],
  ['L1', 'Every request, key access, administrative act and denial is recorded before the answer; if it cannot be, it does not happen.', 'first step', 'Not recorded: a successful `metadata`, the probes, starts and stops of custodian (but for its KEK) and store, tokens minted by the development issuer, the 504 of an unknown outcome (its intent is).'],
  ['L2', 'Tamper-evident: Merkle tree, signed checkpoints, witnesses, proofs.', 'first step', 'Leaf hashes, an append-only table and an order that writers cannot choose; no tree.'],
  ['L3', 'Bodies are sealed; retention and shredding keep every proof valid.', 'first step', 'Sealed under day keys; nothing retires them yet.'],
  ['L4', 'Exports: AuditEvent, OCSF, syslog, accounting of disclosures.', 'not yet'],
  ['I1', 'Real-time detection on the ledger.', 'not yet'],
  ['I2', 'Incidents with their clocks, alerts and reports.', 'not yet'],
  ['I3', 'Blast radius of a stolen credential, store or key.', 'not yet'],
  ['I4', 'Safe-harbour worksheet.', 'not yet'],
  ['G1', 'A living checklist of the safeguards of 45 CFR 164.308–316.', 'not yet'],
  ['G2', 'Registry of business associate agreements.', 'not yet'],
  ['G3', 'Outbound gateway to partner APIs.', 'not yet'],
  ['G4', 'SBOM and cryptographic inventory.', 'not yet', 'The lock file names every package for every platform.'],
  ['G5', 'Assessments, evaluations, scans and tests with due dates.', 'not yet'],
  ['S1', 'One command runs everything on one host with real parts.', 'held'],
  ['S2', 'The same program scales out.', 'not yet', 'One gateway, store and admin each; the custodian can run on another host.'],
  ['S3', 'Metrics, traces, health and readiness on every process.', 'first step', 'Probes on every process, which do not ask JSON APIs; metrics of the admin process only; no traces.'],
  ['S4', 'A web console.', 'not yet'],
  ['S5', 'An SDK for Node.js: fields, rows, files, queues, key cache.', 'first step', 'Fields and the key cache.'],
];

/** `test('[E1] …'`, also as a template or for a suite. */
const TEST_NAME = /\b(?:test|it|describe|suite)(?:\.\w+)?\(\s*['"`]\[([A-Z]\d+)\]/g;

function testFiles(): string[] {
  const all = TEST_FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return all.filter((name) => name.endsWith('.ts') && !name.includes('node_modules')).toSorted();
}

/** Id → file → how many test declarations carry the id. */
function testsById(): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>();
  for (const file of testFiles()) {
    for (const [, id = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(TEST_NAME)) {
      const files = found.get(id) ?? new Map<string, number>();
      files.set(file, (files.get(file) ?? 0) + 1);
      found.set(id, files);
    }
  }
  return found;
}

function complaints(tests: ReadonlyMap<string, unknown>): string[] {
  const known = new Set(REQUIREMENTS.map(([id]) => id));
  const unknown = [...tests.keys()]
    .filter((id) => !known.has(id))
    .map((id) => `a test names ${id}, which is no requirement`);
  const untested = REQUIREMENTS.filter(([id, , status]) => status === 'held' && !tests.has(id)).map(
    ([id]) => `${id} is called held, and no test names it`,
  );
  return [...unknown, ...untested];
}

const link = (file: string, count: number): string =>
  `[${file.replace(/^packages\//, '')}](${relative('docs/reference', file)}) (${count})`;

function areaSection(letter: string, title: string, tests: ReadonlyMap<string, ReadonlyMap<string, number>>): string {
  const rows = REQUIREMENTS.filter(([id]) => id.startsWith(letter)).map(([id, promise, status, note = '']) => {
    const files = [...(tests.get(id) ?? [])].map(([file, count]) => link(file, count)).join('<br>');
    return `| ${id} | ${promise} | ${status} | ${note} | ${files} |`;
  });
  return `## ${letter}: ${title}\n\n| id | promise | now | remark | test files (declarations) |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

const PREFACE = `<!-- Generated by tools/requirements.ts from its table and from the names of the tests; do not edit. -->
# Requirements

What Keyward promises, and how far it is held now: **held**, **first step** (part of it works; the remark says what does not) or **not yet**.
Test names start with the id of the promise they hold, so \`grep -rn "\\[K6\\]" packages test\` leads from a promise to its tests.
A parametrised declaration counts once and runs once per case.
`;

export function renderRequirements(): string {
  const tests = testsById();
  const wrong = complaints(tests);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  const sections = Object.entries(AREAS).map(([letter, title]) => areaSection(letter, title, tests));
  return [PREFACE, ...sections].join('\n');
}
