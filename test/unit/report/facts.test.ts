import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../../src/errors.ts';
import { few, logged, shown } from '../../../src/report/facts.ts';

test('a long list is told by its beginning and by how much more there is', () => {
  assert.deepEqual(few([1, 2]), { list: [1, 2], more: 0 });
  const { list, more } = few(Array.from({ length: 5000 }, (_, at) => at));
  assert.deepEqual([list.length, more], [20, 4980]);
});

test('an event has the text of an error, the log the error with its code and remedy', () => {
  const error = new AppError('MYELIN_USAGE', 'cannot reload', { cause: new Error('no socket'), remedy: 'start it' });
  assert.deepEqual(shown({ kind: 'trouble', error }), { kind: 'trouble', error: 'cannot reload: no socket' });
  assert.deepEqual(logged({ kind: 'trouble', error }), {
    kind: 'trouble',
    err: error,
    code: 'MYELIN_USAGE',
    remedy: 'start it',
  });
  const bug = new TypeError('x is undefined');
  assert.deepEqual(logged({ kind: 'trouble', error: bug }), { kind: 'trouble', err: bug });
});

test('spans in the log are whole milliseconds, and those of events exact', () => {
  const message = { kind: 'responsive', pid: 1, generation: 1, silentMs: 12.6 } as const;
  assert.deepEqual([logged(message).silentMs, 'silentMs' in shown(message)], [13, true]);
  assert.deepEqual(shown(message), message);
});
