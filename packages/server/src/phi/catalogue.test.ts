/** The catalogue against the whole of R4: every row names something that exists, and every text is sealed or allowed by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCatalogue } from './catalogue.ts';
import { CLEAR_ELEMENTS, CLEAR_TYPES } from './clear.ts';
import { isPrimitive } from './primitives.ts';
import { CONTEXTS, RULES } from './rules.ts';
import { type Element, elementsOf, isResourceType, typeNames } from './structure.ts';

const { contextOfResource, ruleOf } = createCatalogue();
const sealedContext = contextOfResource(undefined, 'Observation');
const allElements: Element[] = typeNames().flatMap((type) => [...(elementsOf(type)?.values() ?? [])]);
const keys = new Set(allElements.map(({ key }) => key));
const ruleFor = (element: Element) => ruleOf({ element, context: sealedContext, siblings: {} });

test('[E1] every row of the catalogue names an element or a type of R4', () => {
  const unknown = [...Object.keys(RULES), ...CLEAR_ELEMENTS].filter((key) => !keys.has(key));
  const unknownTypes = [...CLEAR_TYPES].filter((type) => !isResourceType(type));
  const unknownContexts = Object.keys(CONTEXTS).filter((key) => !keys.has(key) && !elementsOf(key));
  assert.deepEqual([unknown, unknownTypes, unknownContexts], [[], [], []]);
});

test('[E1] every text, markup and binary of every R4 type is sealed unless the list of clear elements names it', () => {
  const texts = allElements.filter(({ type }) => ['string', 'markdown', 'xhtml', 'base64Binary', 'url'].includes(type));
  assert.ok(texts.length > 700);
  const clear = texts.filter((element) => ruleFor(element) === undefined).map(({ key }) => key);
  assert.deepEqual(new Set(clear), CLEAR_ELEMENTS);
});

test('[E1] a resource type that the list of clear types does not name is sealed', () => {
  const types = typeNames().filter(isResourceType);
  assert.equal(types.length, 146);
  const sealed = types.filter((type) => contextOfResource(undefined, type).sealed);
  assert.equal(sealed.length, types.length - CLEAR_TYPES.size);
  for (const type of ['Patient', 'Person', 'RelatedPerson', 'Group', 'Observation', 'Binary', 'Basic'])
    assert.ok(sealed.includes(type), type);
});

test('[E1] inside a sealed resource every other type is sealed too', () => {
  assert.equal(contextOfResource(undefined, 'Practitioner').sealed, false);
  assert.equal(contextOfResource(sealedContext, 'Practitioner').sealed, true);
});

test('[E7] only texts are indexed, and only dates keep their year', () => {
  for (const element of allElements) {
    const rule = ruleFor(element);
    if (rule?.indexClass) assert.equal(element.type, 'string', element.key);
    if (rule?.treatment === 'seal') assert.ok(['string', 'markdown'].includes(element.type), element.key);
    if (rule?.treatment === 'year') assert.ok(['date', 'dateTime'].includes(element.type), element.key);
  }
});

test('[E1] every datatype of the structure table is known as a primitive or has elements', () => {
  const unknown = allElements
    .filter(({ type }) => !isPrimitive(type) && !elementsOf(type))
    .map(({ key, type }) => `${key}: ${type}`);
  assert.deepEqual(unknown, []);
});
