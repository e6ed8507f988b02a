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
  ['PATCH', 'Patient/1', 'patch'],
  ['PUT', 'Patient', 'update'],
  ['DELETE', 'Patient', 'delete'],
  ['POST', '', 'bundle'],
  ['GET', 'Patient/1/$everything', 'everything'],
  ['POST', '$keyward-backfill', 'backfill'],
  ['POST', 'Patient/1/$keyward-scope', 'scope'],
  ['GET', '$export', 'export'],
  ['POST', '$export', 'export'],
  ['GET', 'Patient/$export', 'export'],
  ['POST', 'Group/g1/$export', 'export'],
  ['GET', '$export-status/kw1.AA_-', 'exportStatus'],
  ['DELETE', '$export-status/kw1.AA_-', 'exportStatus'],
  ['GET', '$export-file/kw1.AA_-', 'exportFile'],
  ['GET', '.well-known/smart-configuration', 'smart'],
  // refused by name
  ['GET', 'Patient/1/$keyward-scope', 'unsupported'],
  ['POST', 'Observation/1/$keyward-scope', 'unsupported'],
  ['GET', 'Observation/$export', 'unsupported'],
  ['GET', 'Patient/1/$export', 'unsupported'],
  ['PUT', '$export', 'unsupported'],
  ['POST', '$export-file/kw1.AA_-', 'unsupported'],
  ['GET', '$export-status', 'unsupported'],
  ['PATCH', 'Patient', 'unsupported'],
  ['GET', '', 'unsupported'],
  ['GET', '_history', 'unsupported'],
  ['GET', 'Patient/_history', 'unsupported'],
  ['GET', 'Patient/$everything', 'unsupported'],
  ['GET', 'Composition/1/$document', 'unsupported'],
  ['GET', 'Patient/1/Observation', 'unsupported'],
  ['GET', `Patient/${'1'.repeat(65)}`, 'unsupported'],
  ['get', 'Patient/1', 'unsupported'],
  ['HEAD', 'Patient/1', 'unsupported'],
];

for (const [method, path, route] of CASES) {
  test(`[A3] ${method} /${path} is ${route}`, () => assert.equal(routeOf(method, path).name, route));
}
