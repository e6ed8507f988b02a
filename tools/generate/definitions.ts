/** The official R4 definitions, read from the examples package of HL7 (other packages carry additions of their own servers). */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type {
  CodeSystem,
  CompartmentDefinition,
  SearchParameter,
  StructureDefinition,
  ValueSet,
} from '@medplum/fhirtypes';

export interface Definitions {
  readonly structures: readonly StructureDefinition[];
  readonly searchParameters: readonly SearchParameter[];
  readonly patientCompartment: CompartmentDefinition;
  readonly valueSets: readonly ValueSet[];
  readonly codeSystems: readonly CodeSystem[];
}

/** Profiles of the package that are illustrations, or search inside optional extensions. */
const NOT_CORE = /^(example|filter$)|-(extensions|genetic)-/;

export function readDefinitions(): Definitions {
  const folder = dirname(createRequire(import.meta.url).resolve('hl7.fhir.r4.examples/package.json'));
  const files = readdirSync(folder).sort();
  const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const all = (prefix: string) => files.filter((name) => name.startsWith(prefix)).map(read);
  return {
    structures: (all('StructureDefinition-') as StructureDefinition[]).filter(isCoreStructure),
    searchParameters: (all('SearchParameter-') as SearchParameter[]).filter(isCoreParameter),
    patientCompartment: read('CompartmentDefinition-patient.json') as CompartmentDefinition,
    valueSets: all('ValueSet-') as ValueSet[],
    codeSystems: all('CodeSystem-') as CodeSystem[],
  };
}

function isCoreStructure(definition: StructureDefinition): boolean {
  const hasMembers = definition.kind === 'complex-type' || definition.kind === 'resource';
  return hasMembers && definition.derivation !== 'constraint';
}

const isCoreParameter = (parameter: SearchParameter): boolean => !NOT_CORE.test(parameter.id ?? '');
