/** What follows from it that nobody says that he serves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Silence } from '../../../src/apply/master/silence.ts';
import { socketFailed, timedOut } from '../../../src/haproxy/cli/socket.ts';

const slow = socketFailed('/s', timedOut(5000));
const gone = socketFailed('/s', Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }));

test('Silence: a master that runs itself anew is silent for a moment, and not gone', () => {
  const silence = new Silence();
  assert.equal(silence.noted(0, gone), 'nothing');
  assert.equal(silence.noted(999, null), 'nothing');
  silence.heard();
  assert.equal(silence.noted(1500, gone), 'nothing', 'it begins anew');
});

test('Silence: where nobody listens, or a master has no worker, for a second, nobody serves', () => {
  for (const error of [gone, null]) {
    const silence = new Silence();
    silence.noted(0, slow);
    assert.equal(silence.noted(1000, error), 'gone');
    assert.equal(silence.noted(1200, error), 'gone');
  }
});

test('Silence: a master that does not answer is trouble, told once until it was heard', () => {
  const silence = new Silence();
  assert.deepEqual(
    [0, 1000, 2000].map((at) => silence.noted(at, slow)),
    ['nothing', 'trouble', 'nothing'],
  );
  assert.equal(silence.noted(3000, gone), 'gone', 'it may end after all');
  silence.heard();
  assert.deepEqual(
    [4000, 5000].map((at) => silence.noted(at, slow)),
    ['nothing', 'trouble'],
  );
});
