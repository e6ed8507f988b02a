import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routeOf } from './routes.ts';

const CASES: [method: string, path: string, route: string][] = [
  ['GET', 'metadata', 'capabilities'],
  ['GET', 'Patient/1', 'read'],
  ['GET', 'Patient/1/_history', 'history'],
  ['GET', 'Patient/1/_history/2', 'vread'],
  ['GET', 'Patient', 'search'],
  ['POST', 'Patient/_search', 'search'],
  ['POST', 'Patient', 'create'],
  ['PUT', 'Patient/1', 'update'],
  ['DELETE', 'Patient/1', 'delete'],
  ['POST', '', 'bundle'],
  // refused by name
  ['PATCH', 'Patient/1', 'unsupported'],
  ['PUT', 'Patient', 'unsupported'],
  ['DELETE', 'Patient', 'unsupported'],
  ['GET', '', 'unsupported'],
  ['GET', '_history', 'unsupported'],
  ['GET', 'Patient/_history', 'unsupported'],
  ['GET', 'Patient/$everything', 'unsupported'],
  ['POST', '$export', 'unsupported'],
  ['GET', 'Patient/1/Observation', 'unsupported'],
  ['GET', `Patient/${'1'.repeat(65)}`, 'unsupported'],
  ['get', 'Patient/1', 'unsupported'],
  ['HEAD', 'Patient/1', 'unsupported'],
];

for (const [method, path, route] of CASES) {
  test(`[A3] ${method} /${path} is ${route}`, () => assert.equal(routeOf(method, path).name, route));
}
