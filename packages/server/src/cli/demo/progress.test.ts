import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgress, renderBar } from './progress.ts';

test('[S1] the bar is empty, half full and full', () => {
  assert.equal(renderBar(0, 4), `${'░'.repeat(30)}  0/4 files`);
  assert.equal(renderBar(2, 4), `${'█'.repeat(15)}${'░'.repeat(15)}  2/4 files`);
  assert.equal(renderBar(4, 4), `${'█'.repeat(30)}  4/4 files`);
});

test('[S1] on a terminal one line is repainted, and failures stay above it', () => {
  let shown = '';
  const progress = createProgress({ write: (text) => void (shown += text), isTty: true, columns: 80 }, 2);
  progress.done('a.json', { kind: 'loaded', resources: 3 });
  progress.done('b\u001b[2J.json', { kind: 'failed', failure: { file: 'b', code: 'FHIR_GONE', hint: '' } });
  progress.end();
  const repaint = '\r\u001b[K';
  const half = `${repaint}${renderBar(1, 2)}  3 resources`;
  const full = `${repaint}${renderBar(2, 2)}  3 resources`;
  assert.equal(shown, `${half}${repaint}b [2J.json: FHIR_GONE\n${full}${repaint}`);
});
