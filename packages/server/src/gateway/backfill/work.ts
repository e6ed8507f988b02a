/** The work on one page: which records are to be written, as what, and what became of each. */
import { asKeywardError, type ErrorCode, newUuid } from '../../core/index.ts';
import { FIELD_CLASSES, type FhirResource } from '../../phi/index.ts';
import { auditEvent, referencesOf } from '../audit.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { prepareOpening, sealResources, type ToSeal } from '../sealing.ts';
import { type Beside, scopeFor, scopeToWrite } from '../subjects.ts';
import { TENANT_SCOPE } from '../seal-context.ts';
import { recordWritten, writeInPlace } from './in-place.ts';
import type { BackfillMode, BackfillOrder } from './order.ts';
import { underEndedKeys } from './renewed.ts';
import { standingOf } from './standing.ts';

/** A record that was left as it is, and the code that says why. */
export interface Skipped {
  readonly reference: string;
  readonly code: string;
}

export interface PageReport {
  readonly found: number;
  /** Written by this page, or with a dry run: would be written. */
  readonly done: number;
  /** Stood already as ordered. */
  readonly before: number;
  /** Hold nothing that is sealed. */
  readonly clear: number;
  readonly skipped: readonly Skipped[];
}

/** Standing that a mode works on, and the one it leaves behind. */
const WORKS_ON: Readonly<
  Record<BackfillMode, readonly [from: 'plain' | 'sealed', to: 'plain' | 'sealed' | undefined]>
> = {
  seal: ['plain', 'sealed'],
  reseal: ['sealed', undefined],
  rekey: ['sealed', undefined],
  unseal: ['sealed', 'plain'],
};

export async function workOn(
  exchange: Exchange,
  order: BackfillOrder,
  records: readonly FhirResource[],
): Promise<PageReport> {
  const [from, to] = WORKS_ON[order.mode];
  const standings = records.map((record) => ({ record, standing: standingOf(record, exchange.gateway.catalogue) }));
  const withStanding = (kind: string | undefined) => standings.filter(({ standing }) => standing.kind === kind);
  const flawed = standings.flatMap(({ record, standing }) =>
    standing.kind === 'flawed' ? [{ reference: referenceOf(record), code: standing.code }] : [],
  );
  // What only looks sealed is not: that it opens is the proof.
  const proven = await readable(
    exchange,
    withStanding('sealed').map(({ record }) => record),
  );
  const sealed = order.mode === 'rekey' ? await underEndedKeys(exchange, proven.findings) : proven.findings;
  const wanted =
    from === 'sealed' ? sealed.map(({ resource }) => resource) : withStanding(from).map(({ record }) => record);
  const left = { found: records.length, clear: withStanding('clear').length };
  const sealsAnew = order.mode === 'reseal' || order.mode === 'rekey';
  const unsealed = sealsAnew ? withStanding('plain').map(({ record }) => unsealedOne(record)) : [];
  const stood = to === 'sealed' ? proven.findings.length : withStanding(to).length;
  const before = from === 'sealed' ? stood + proven.findings.length - sealed.length : stood;
  if (order.dryRun)
    return { ...left, done: wanted.length, before, skipped: [...flawed, ...unsealed, ...proven.skipped] };
  const { done, skipped } = await change(exchange, order.mode, wanted, sealed);
  return { ...left, done, before, skipped: [...flawed, ...unsealed, ...proven.skipped, ...skipped] };
}

const referenceOf = ({ resourceType, id }: FhirResource): string => `${resourceType}/${id ?? ''}`;

/** Sealing anew is not the place to seal for the first time. */
const unsealedOne = (record: FhirResource): Skipped => ({
  reference: referenceOf(record),
  code: 'GATEWAY_UPSTREAM_UNSEALED',
});

/** Nobody sees what is opened here: it is sealed again, or goes back to where it came from. */
const wholeRecord = (exchange: Exchange): Decision => ({
  ...known(exchange.decision, 'decision'),
  open: new Set(FIELD_CLASSES),
  mask: new Set(),
});

interface Readable {
  readonly findings: readonly Finding[];
  readonly skipped: readonly Skipped[];
}

/** Opens all at once, and one by one when one of them does not open; what is opened is in the ledger first. */
async function readable(exchange: Exchange, records: readonly FhirResource[]): Promise<Readable> {
  const decision = wholeRecord(exchange);
  const findings = records.map((resource): Finding => ({ resource, decision }));
  try {
    const { open, keyIds, classes, scopes } = prepareOpening(exchange, findings);
    const resources = referencesOf(findings);
    await exchange.gateway.audit.record([
      auditEvent(exchange, 'admin', { resources, keyIds, classes, subjects: scopes }),
    ]);
    await open();
    return { findings, skipped: [] };
  } catch (thrown) {
    const { code, row } = asKeywardError(thrown);
    if (row.retry) throw thrown;
    const [only] = records;
    if (records.length === 1 && only) return { findings: [], skipped: [{ reference: referenceOf(only), code }] };
  }
  const parts: Readable[] = [];
  for (const record of records) parts.push(await readable(exchange, [record]));
  return { findings: parts.flatMap(({ findings: some }) => some), skipped: parts.flatMap(({ skipped }) => skipped) };
}

async function change(
  exchange: Exchange,
  mode: BackfillMode,
  wanted: readonly FhirResource[],
  findings: readonly Finding[],
): Promise<Pick<PageReport, 'done' | 'skipped'>> {
  if (wanted.length === 0) return { done: 0, skipped: [] };
  const { audit, subjects } = exchange.gateway;
  const resources = wanted.map(referenceOf);
  await audit.record([
    auditEvent(exchange, 'write.intent', { resources }),
    ...(mode === 'unseal'
      ? [auditEvent(exchange, 'disclosure', { resources: referencesOf(findings), classes: FIELD_CLASSES })]
      : []),
  ]);
  const plaintext = mode === 'seal' ? wanted : findings.map(({ opened }) => known(opened, 'opened record'));
  const scoped = mode === 'unseal' ? undefined : await withScopes(exchange, mode, plaintext);
  const sealed = scoped ? await sealResources(exchange, scoped) : plaintext;
  const failures = await writeInPlace(exchange, sealed);
  const written = resources.filter((_, index) => failures[index] === undefined);
  for (const [index, { resourceType, id = '' }] of plaintext.entries()) {
    if (resourceType !== 'Patient') continue;
    const scope = scoped?.[index]?.scope;
    if (failures[index] === undefined && scope) subjects.remember(id, scope);
    else subjects.forget(id);
  }
  const named = [...new Set((scoped ?? []).map(({ scope }) => scope))].filter((scope) => scope !== TENANT_SCOPE);
  await recordWritten(
    exchange,
    auditEvent(exchange, 'write.outcome', { resources: written, subjects: named, status: 200 }),
  );
  const skipped = resources.flatMap((reference, index) => {
    const code: ErrorCode | undefined = failures[index];
    return code === undefined ? [] : [{ reference, code }];
  });
  return { done: written.length, skipped };
}

const ALONE: Beside = { minted: new Map(), others: new Set() };

/** A record whose patient is not here any more belongs to no patient of ours; it is sealed all the same. */
async function withScopes(exchange: Exchange, mode: BackfillMode, records: readonly FhirResource[]): Promise<ToSeal[]> {
  const scoped: ToSeal[] = [];
  for (const resource of records) {
    const isPatient = resource.resourceType === 'Patient';
    scoped.push({
      resource,
      scope: await (isPatient ? patientScope(exchange, mode, resource) : scopeOf(exchange, resource)),
    });
  }
  return scoped;
}

/** A Patient in plaintext has none yet; should it have got one meanwhile, If-Match keeps us from writing. */
const patientScope = async (exchange: Exchange, mode: BackfillMode, { id = '' }: FhirResource): Promise<string> =>
  mode === 'seal' ? newUuid() : scopeToWrite(exchange, id);

async function scopeOf(exchange: Exchange, resource: FhirResource): Promise<string> {
  try {
    return await scopeFor(exchange, resource, ALONE);
  } catch (thrown) {
    if (asKeywardError(thrown).code === 'FHIR_SUBJECT_UNKNOWN') return TENANT_SCOPE;
    throw thrown;
  }
}
