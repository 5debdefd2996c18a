import assert from 'node:assert/strict';
import test from 'node:test';
import { toldOnce } from '../../../src/commands/preview/problems.ts';

test('a fault that concerns several services is told once, with their names', () => {
  const problems = [
    { message: 'service b: t.hbs:1:1: no field', service: 'b' },
    { message: 'service web: t.hbs:1:1: no field', service: 'web' },
    { message: 'service web: another', service: 'web' },
    { message: 'of nobody', service: null },
  ];
  assert.equal(toldOnce(problems), 'services b, web: t.hbs:1:1: no field\nservice web: another\nof nobody');
});
