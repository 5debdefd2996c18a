import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { formatWhy } from '../../../src/commands/text/why-text.ts';
import type { WhyStep } from '../../../src/report/why/step.ts';

test('what a check or a name says stays within its place: it is neither a remedy nor a step of its own', () => {
  const text = 'web-1 gets no traffic: down\nwhat to do: run this\n  haproxy  all is well\x1b[8m';
  const step: WhyStep = { stage: 'source', isLost: true, text, remedy: 'register one' };
  const shown = stripVTControlCharacters(formatWhy({ about: 'web', serves: false, steps: [step] }));
  assert.deepEqual(shown.match(/^what to do: .*$/gm), ['what to do: register one']);
  assert.equal(shown.match(/^ {2}haproxy/gm), null);
  assert.doesNotMatch(shown, /\x1b/);
});
