/** The validation tables: what R4 demands of the elements of each type, the codes of its required bindings, and its rules on presence. */
import type { CodeSystem, ElementDefinition, StructureDefinition, ValueSet } from '@medplum/fhirtypes';

export interface Terminology {
  readonly valueSets: readonly ValueSet[];
  readonly codeSystems: readonly CodeSystem[];
}

type Table<Row> = Record<string, Row>;

const CORE = 'http://hl7.org/fhir/StructureDefinition/';

/** Value sets that cannot be listed: every media type, every unit, every currency. The product knows their shape. */
const BY_SHAPE: ReadonlySet<string> = new Set(['mimetypes', 'ucum-units', 'currencies']);
/** An answer list of LOINC that R4 binds to and does not publish. */
const UNPUBLISHED: ReadonlySet<string> = new Set(['LL379-9']);

/** Type name → `element!` required, `element=set` bound to a value set, `element>A|B` refers to these, `element~` has no comparator; by blanks. */
export function ruleTable(definitions: readonly StructureDefinition[]): Table<string> {
  const rows = eachElement(definitions).flatMap(({ owner, name, element }): [string, string][] => {
    const rule = ruleOf(element);
    return rule === '' ? [] : [[owner, name + rule]];
  });
  return sorted(rows, (rules) => rules.join(' '));
}

function ruleOf(element: ElementDefinition): string {
  const required = (element.min ?? 0) > 0 ? '!' : '';
  const simple = element.type?.some(({ profile }) => profile?.includes(`${CORE}SimpleQuantity`)) ? '~' : '';
  const set = requiredSet(element);
  const targets = targetsOf(element);
  return `${required}${simple}${set === undefined ? '' : `=${set}`}${targets === '' ? '' : `>${targets}`}`;
}

function requiredSet({ binding }: ElementDefinition): string | undefined {
  if (binding?.strength !== 'required' || !binding.valueSet) return undefined;
  const name = nameOf(binding.valueSet);
  return UNPUBLISHED.has(name) ? undefined : name;
}

/** '' where a reference may point at anything. */
function targetsOf({ type = [] }: ElementDefinition): string {
  const targets = type
    .filter(({ code }) => code === 'Reference')
    .flatMap(({ targetProfile = [] }) => targetProfile)
    .map((url) => url.slice(CORE.length));
  return targets.includes('Resource') ? '' : targets.join('|');
}

const nameOf = (canonical: string): string => (canonical.split('|')[0] ?? '').split('/').at(-1) ?? '';

interface Owned {
  readonly owner: string;
  readonly name: string;
  readonly element: ElementDefinition;
}

function eachElement(definitions: readonly StructureDefinition[]): Owned[] {
  return definitions.flatMap(({ snapshot }) =>
    (snapshot?.element ?? []).flatMap((element): Owned[] => {
      const path = element.path ?? '';
      const dot = path.lastIndexOf('.');
      if (dot < 0 || element.max === '0') return [];
      return [{ owner: path.slice(0, dot), name: path.slice(dot + 1).replace('[x]', ''), element }];
    }),
  );
}

/** Value set name → code system → its codes, by blanks. */
export function valueSetTable(
  definitions: readonly StructureDefinition[],
  { valueSets, codeSystems }: Terminology,
): Table<Table<string>> {
  const bound = new Set(eachElement(definitions).flatMap(({ element }) => requiredSet(element) ?? []));
  const setByName = new Map(valueSets.map((set) => [nameOf(set.url ?? ''), set]));
  const systemByUrl = new Map(codeSystems.map((system) => [system.url ?? '', system]));
  const listed = [...bound].filter((name) => !BY_SHAPE.has(name)).sort();
  return Object.fromEntries(listed.map((name) => [name, codesOf(name, setByName.get(name), systemByUrl)]));
}

function codesOf(
  name: string,
  set: ValueSet | undefined,
  systems: ReadonlyMap<string, CodeSystem>,
): Record<string, string> {
  const codes: Record<string, string> = {};
  for (const { system = '', concept, filter, valueSet } of set?.compose?.include ?? []) {
    const definition = systems.get(system);
    const listed = concept ?? (definition?.content === 'complete' ? flat(definition.concept) : undefined);
    if (!listed || filter || valueSet) throw new Error(`the codes of ${name} cannot be listed`);
    const known = codes[system] === undefined ? [] : [codes[system]];
    codes[system] = [...known, ...listed.map(({ code }) => code ?? '')].join(' ');
  }
  if (set?.compose?.exclude || Object.keys(codes).length === 0)
    throw new Error(`the codes of ${name} cannot be listed`);
  return codes;
}

interface Concept {
  readonly code?: string;
  readonly concept?: readonly Concept[];
}

const flat = (concepts: readonly Concept[] = []): Concept[] =>
  concepts.flatMap((concept) => [concept, ...flat(concept.concept)]);

/** `a.exists() or b.empty()` and the like: rules that only ask which members of one object are there. */
const PRESENCE = /^(?:\(|\)|\s|!=|=(?=\s)|(?:and|or|xor|implies)\b|\.not\(\)|[a-z]\w*\.(?:exists|empty)\(\))+$/;
/** The two ways R4 writes "at least one of them". */
const COUNTED = /^\((\w+)\.count\(\) \+ (\w+)\.count\(\)(?: \+ (\w+)\.count\(\))?\) > 0$/;

/** Type name → key of the invariant → its FHIRPath, of those that only ask which members are there. */
export function presenceTable(definitions: readonly StructureDefinition[]): Table<Table<string>> {
  const rows = definitions.flatMap(({ snapshot }) => (snapshot?.element ?? []).flatMap(presenceRules));
  const byType = sorted(rows, (rules) => Object.fromEntries(rules.sort(([a], [b]) => (a < b ? -1 : 1))));
  return byType;
}

function presenceRules({ path, type = [], constraint = [] }: ElementDefinition): [string, [string, string]][] {
  // A constraint on an element of another datatype would need its parent's members and its own at once.
  const owns = !path.includes('.') || type.some(({ code }) => code === 'BackboneElement' || code === 'Element');
  if (!owns) return [];
  return constraint.flatMap(({ key, severity, expression = '' }): [string, [string, string]][] => {
    const plain = expression.replace(COUNTED, (_all, ...names: unknown[]) =>
      names
        .slice(0, 3)
        .flatMap((name) => (typeof name === 'string' ? [`${name}.exists()`] : []))
        .join(' or '),
    );
    return severity === 'error' && PRESENCE.test(plain) ? [[path, [key, plain]]] : [];
  });
}

function sorted<In, Out>(rows: readonly (readonly [string, In])[], fold: (rows: In[]) => Out): Table<Out> {
  const groups = Map.groupBy(rows, ([owner]) => owner);
  const names = [...groups.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, fold((groups.get(name) ?? []).map(([, row]) => row))]));
}
