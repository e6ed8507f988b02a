/** The vocabulary of JSON APIs: rules of members, operations, and the plans that seal and open one body. */
import type { Json } from '@keyward/sdk/seal';
import type { Disclosure, FieldClass, IndexTerm } from '../types.ts';

export const JSON_TREATMENTS = ['seal', 'index', 'year', 'omit'] as const;
export type JsonTreatment = (typeof JSON_TREATMENTS)[number];

/** How one member is protected. */
export interface JsonRule {
  readonly fieldClass: FieldClass;
  readonly treatment: JsonTreatment;
  /** Index class and system; only of treatment `index`. */
  readonly index: Pick<IndexTerm, 'indexClass' | 'system'> | undefined;
  /** Member beside it that holds the ciphertext; undefined for `seal`, which keeps it in place. */
  readonly companion: string | undefined;
  /** JSON type as clients see it; part of what the ciphertext is bound to. */
  readonly datatype: string;
  /** Whether a masked text may stand in its place: not where a format is promised. */
  readonly maskable: boolean;
}

/** An object of the API that is sealed as one: a named schema. */
export interface ObjectRule {
  readonly name: string;
  /** Path of the member that names whose record it is. */
  readonly subject: readonly string[] | undefined;
}

/** One place of a body, as its schemas describe it together. */
export interface SchemaNode {
  /** Where the description says it first. */
  readonly at: string;
  readonly object: ObjectRule | undefined;
  readonly rule: JsonRule | undefined;
  readonly properties: ReadonlyMap<string, SchemaNode>;
  /** Member that holds a ciphertext → member it belongs to. */
  readonly companions: ReadonlyMap<string, string>;
  readonly required: ReadonlySet<string>;
  readonly items: SchemaNode | undefined;
  /** Members that no property names. */
  readonly additional: SchemaNode | undefined;
}

/** Undefined when the value is as described, else the keyword and place of the schema it fails; never a value. */
export type Check = (value: Json) => string | undefined;

export type BodyRule =
  /** `relaxed` looks past every member that has a rule: for bodies in which some are not shown. */
  | {
      readonly kind: 'mapped';
      readonly mediaType: string;
      readonly node: SchemaNode;
      readonly check: Check;
      readonly relaxed: Check;
    }
  /** JSON without a schema */
  | { readonly kind: 'unmapped'; readonly mediaType: string }
  /** described, but not as JSON */
  | { readonly kind: 'unsupported' };

export const JSON_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type JsonMethod = (typeof JSON_METHODS)[number];
export type JsonInteraction = 'read' | 'search' | 'create' | 'update' | 'delete';

export interface QueryRule {
  /** Set where the parameter identifies somebody: its value is replaced by a blind index. */
  readonly phi:
    | { readonly fieldClass: FieldClass; readonly index: Pick<IndexTerm, 'indexClass' | 'system'> }
    | undefined;
  readonly repeats: boolean;
}

export interface JsonOperation {
  /** e.g. `GET /members/{id}`. */
  readonly name: string;
  readonly method: JsonMethod;
  readonly interaction: JsonInteraction;
  /** Object name the access policy decides by. */
  readonly type: string;
  /** Of a path below the API's prefix; its groups are the path parameters. */
  readonly pattern: RegExp;
  readonly pathParameters: readonly string[];
  /** Path parameter that names whose record it is. */
  readonly subject: string | undefined;
  readonly query: ReadonlyMap<string, QueryRule>;
  /** By name of a parameter: names of the objects whose protected members it searches. */
  readonly searchedObjects: ReadonlyMap<string, ReadonlySet<string>>;
  /** Path and query parameters by name, before any is replaced. */
  readonly checkParameters: (values: Readonly<Record<string, string | readonly string[]>>) => string | undefined;
  readonly request: BodyRule | undefined;
  /** By status (`200`, `2XX`, `default`); undefined: no body. */
  readonly responses: ReadonlyMap<string, BodyRule | undefined>;
}

/** An operation by itself, before it is held against the others. */
export type DescribedOperation = Omit<JsonOperation, 'searchedObjects'>;

export interface JsonApiMap {
  /** More literal paths first. */
  readonly operations: readonly JsonOperation[];
  /** Object names that rules of an access policy may speak of. */
  readonly types: readonly string[];
  /** Objects that some operation writes in part: their members may stem from several writes. */
  readonly partlyWritten: ReadonlySet<string>;
}

/** What each stored text carries: which write it stems from, under whose key. */
export interface JsonRoot {
  readonly objectId: string;
  /** UUID, or `tenant`. */
  readonly scope: string;
}

/** One object found in a body. */
export interface JsonObjectSpot {
  readonly type: string;
  /** Its member `id`, else the one that names its subject, where that is clear and opaque. */
  readonly id: string | undefined;
  /** Who it is about, as the API names them: its own, or that of the object around it. */
  readonly subject: string | undefined;
  /** Its schema says which member names that; without it the object cannot be sealed or opened. */
  readonly namesSubject: boolean;
  /** Position of the object around it. */
  readonly around: number;
  /** A page: it protects nothing itself and stands around what the operation is about, with which it is authorised. */
  readonly page: boolean;
}

/** What a body does not hold of what its schema describes, so that a write removes it. */
export interface JsonAbsence {
  /** Object it would be part of, or be. */
  readonly type: string;
  /** Of a protected member; undefined: whole objects. */
  readonly fieldClass: FieldClass | undefined;
  /** A list or map is there, and what a reader is not shown would be missing in it. */
  readonly entries: boolean;
  /** A merge patch says so with null. */
  readonly stated: boolean;
}

export interface JsonSite {
  /** Position in the plan's `objects`. */
  readonly object: number;
  /** Object name and pointer without array positions, e.g. `Member/contacts/value`; part of what the ciphertext is bound to. */
  readonly path: string;
  readonly datatype: string;
  readonly fieldClass: FieldClass;
}

export interface JsonSealSite extends JsonSite {
  readonly value: Json;
  readonly term: IndexTerm | undefined;
}

export interface JsonSealPlan {
  /** The body itself, then its named objects. */
  readonly objects: readonly JsonObjectSpot[];
  readonly sites: readonly JsonSealSite[];
  /** Each once; of a merge patch only what it removes. */
  readonly absent: readonly JsonAbsence[];
  /** The sealed copy; `sealed[i]` belongs to `sites[i]`. */
  apply(sealed: readonly { readonly text: string; readonly index: string | undefined }[]): Json;
}

export interface JsonOpenSite extends JsonSite {
  readonly root: JsonRoot;
  readonly token: string;
}

export interface JsonOpenPlan {
  readonly objects: readonly JsonObjectSpot[];
  readonly sites: readonly JsonOpenSite[];
  /**
   * The body as the reader sees it, without companions and undescribed members; undefined when nothing of it is shown.
   * @param shows whether an object, by its position, is shown at all; with it goes what is inside
   */
  apply(disclosures: readonly Disclosure[], shows?: (object: number) => boolean): Json | undefined;
}
