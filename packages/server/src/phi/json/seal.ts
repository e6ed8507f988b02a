/** Plans the sealing of one request body of a JSON API. */
import { type Json, normalise } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import type { IndexTerm } from '../types.ts';
import { assertAmount } from './amount.ts';
import { assertOpaqueIds } from './ids.ts';
import { contentsOf } from './nodes.ts';
import { holdsMark } from './text.ts';
import type { JsonAbsence, JsonObjectSpot, JsonSealPlan, JsonSealSite, JsonTreatment, SchemaNode } from './types.ts';
import { bodySpot, type Held, type Lack, rewriteBody, type Spot, type Visitor } from './walk.ts';

export interface BodyToSeal {
  readonly node: SchemaNode;
  readonly body: Json;
  /** Object name of the body where its schema has none. */
  readonly type: string;
  /** Who it is about, when the address says so. */
  readonly subject: string | undefined;
  /** Values of path parameters. */
  readonly addressed: readonly string[];
  /** A merge patch (RFC 7396): null removes, so it removes the ciphertext too. */
  readonly partial: boolean;
}

interface SealedValue {
  readonly text: string;
  readonly index: string | undefined;
}

/** @throws KeywardError `API_BODY_INVALID` | `API_BODY_TOO_LARGE` | `API_ID_REFUSED` | `API_RESERVED_VALUE` | `ACCESS_PARTIAL_WRITE` */
export function planJsonSeal(given: BodyToSeal): JsonSealPlan {
  const objects: JsonObjectSpot[] = [bodySpot(given)];
  const sites: JsonSealSite[] = [];
  const enter = (spot: JsonObjectSpot) => {
    const outer = objects[spot.around]?.subject;
    if (spot.subject !== undefined && given.subject !== undefined && spot.subject !== given.subject)
      throw new KeywardError('API_BODY_INVALID', { detail: `${spot.type}: address and body name different subjects.` });
    objects.push({ ...spot, subject: spot.subject ?? outer });
    assertAmount(objects, sites, 'API_BODY_TOO_LARGE');
    return true;
  };
  const { absent, noteLack } = absences(given.partial);
  const ids: Json[] = [...given.addressed];
  const walk = (take: Take, found: Found = SEEN_BEFORE) =>
    rewriteBody(given.node, given.body, given.type, sealingVisitor(given, take, found));
  const note = (site: JsonSealSite) => {
    sites.push(site);
    assertAmount(objects, sites, 'API_BODY_TOO_LARGE');
  };
  walk(note, {
    object: enter,
    absent: noteLack,
    clear(value, path) {
      if (path.endsWith('/id')) ids.push(value);
      return refuseMark(value, path);
    },
  });
  assertSubjects(objects, sites);
  assertOpaqueIds([...ids, ...objects.flatMap(({ subject }) => subject ?? [])], sites);
  return {
    objects,
    sites,
    absent: [...absent.values()],
    apply(sealed) {
      if (sealed.length !== sites.length) throw new KeywardError('CORE_INTERNAL');
      let next = 0;
      return walk(() => sealed[next++]) ?? null;
    },
  };
}

/** What the body removes: all that it does not hold, or of a merge patch (RFC 7396) what is null, and what a list that is sent no longer has. */
function absences(partial: boolean): { absent: Map<string, JsonAbsence>; noteLack: (lack: Lack) => void } {
  const absent = new Map<string, JsonAbsence>();
  const known = new Map<string, Set<SchemaNode>>();
  const noteLack = ({ part, type, entries, isNull, inList }: Lack) => {
    const kept = partial && !inList;
    if (kept && !isNull) return;
    const seen = known.get(`${type} ${entries} ${kept}`) ?? new Set();
    if (seen.has(part)) return;
    known.set(`${type} ${entries} ${kept}`, seen.add(part));
    for (const one of entries ? entryOf(part, type) : contentsOf(part, type)) {
      const absence = { ...one, entries, stated: kept };
      absent.set(JSON.stringify(absence), absence);
    }
  };
  return { absent, noteLack };
}

/** What a reader may find missing in a list: entries that are not shown at all. Others tell by themselves what they lack. */
function entryOf({ object, rule }: SchemaNode, type: string): Pick<JsonAbsence, 'type' | 'fieldClass'>[] {
  if (object) return [{ type: object.name, fieldClass: undefined }];
  return rule ? [{ type, fieldClass: rule.fieldClass }] : [];
}

type Take = (site: JsonSealSite) => SealedValue | undefined | void;
type Found = Pick<Visitor, 'object' | 'absent' | 'clear'>;
/** The second walk meets what the first one has noted. */
const SEEN_BEFORE: Found = { object: () => true, absent: () => undefined, clear: (value) => value };

/** @throws KeywardError `API_SUBJECT_MISSING` before anything is sealed under a key that is not its subject's */
function assertSubjects(objects: readonly JsonObjectSpot[], sites: readonly JsonSealSite[]): void {
  for (const { object } of sites) {
    const spot = objects[object];
    if (spot?.namesSubject && spot.subject === undefined)
      throw new KeywardError('API_SUBJECT_MISSING', { detail: `${spot.type}.` });
  }
}

function sealingVisitor({ partial }: BodyToSeal, take: Take, found: Found): Visitor {
  return {
    ...found,
    undescribed(path) {
      throw new KeywardError('API_BODY_INVALID', { detail: `${path} holds something that the API does not describe.` });
    },
    protect(spot, { value, companion }) {
      // Ciphertexts are the gateway's to write.
      if (companion !== undefined) throw reserved(spot.path);
      if (value === undefined || value === null) return { value, companion: partial ? value : undefined };
      assertValue(value, spot);
      const sealed = take(siteOf(spot, value));
      return sealed ? STORED[spot.rule.treatment](value, sealed) : { value, companion };
    },
  };
}

/** In clear it could not be told from one that was moved there. */
function refuseMark(value: Json, path: string): Json {
  if (typeof value === 'string' && holdsMark(value)) throw reserved(path);
  return value;
}

const reserved = (path: string) => new KeywardError('API_RESERVED_VALUE', { detail: `${path}.` });

/** How `masked` begins: written back, the stars would replace what they stand for. */
const MASKED = '••••';

function assertValue(value: Json, { path }: Spot): void {
  if (typeof value === 'object' && !JSON.isRawJSON(value))
    throw new KeywardError('API_BODY_INVALID', { detail: `${path} is no single value.` });
  if (typeof value === 'string' && value.startsWith(MASKED)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
}

function siteOf({ rule, path, boundPath, object }: Spot, value: Json): JsonSealSite {
  const term: IndexTerm | undefined = rule.index && { ...rule.index, text: textOf(value) };
  // Without an index the old one would stay upstream, or none would be where one is required.
  if (term && normalise(term.indexClass, term.system, term.text) === '')
    throw new KeywardError('API_BODY_INVALID', { detail: `${path} holds nothing to search by.` });
  return { object, path: boundPath, datatype: rule.datatype, fieldClass: rule.fieldClass, value, term };
}

const textOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

const YEAR_CHARS = 4;

/** What goes upstream in place, and in the companion. */
const STORED: Readonly<Record<JsonTreatment, (value: Json, sealed: SealedValue) => Held>> = {
  seal: (_value, { text }) => ({ value: text, companion: undefined }),
  index: (_value, { text, index }) => ({ value: index, companion: text }),
  year: (value, { text }) => ({ value: textOf(value).slice(0, YEAR_CHARS), companion: text }),
  omit: (_value, { text }) => ({ value: undefined, companion: text }),
};
