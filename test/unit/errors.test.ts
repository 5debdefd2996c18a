import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError, describe } from '../../src/errors.ts';

test('an error is told with its causes, each of them once', () => {
  const denied = new Error('EACCES: permission denied');
  const wrapped = new AppError('MYELIN_WRITE_FAILED', 'run cannot be written', { cause: denied });
  assert.equal(describe(wrapped), 'run cannot be written: EACCES: permission denied');
  const quoted = new AppError('MYELIN_WRITE_FAILED', `run cannot be written: ${denied.message}`, { cause: denied });
  assert.equal(describe(quoted), 'run cannot be written: EACCES: permission denied');
  assert.equal(describe(new Error('outermost', { cause: quoted })), `outermost: ${quoted.message}`);
  assert.equal(describe(new RangeError('')), 'RangeError');
  assert.equal(describe('words'), 'words');
});
