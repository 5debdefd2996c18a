import assert from 'node:assert/strict';
import test from 'node:test';
import { problemLines } from '../../../src/report/text/problem-text.ts';

test('a fault that concerns several services is told once, with their names', () => {
  const problems = [
    { message: 't.hbs:1:1: no field', service: 'b' },
    { message: 't.hbs:1:1: no field', service: 'web' },
    { message: 'another', service: 'web' },
    { message: 'unknown keyword', line: 3, text: 'optoin x', service: 'b' },
    { message: 'unknown keyword', line: 9, text: 'optoin x', service: 'web' },
    { message: 'of nobody', service: null },
  ];
  assert.deepEqual(problemLines(problems), [
    'services b, web: t.hbs:1:1: no field',
    'service web: another',
    'services b, web: unknown keyword (line of a template: `optoin x`)',
    'of nobody',
  ]);
});
