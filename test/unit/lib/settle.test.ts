import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../../src/lib/time/settle.ts';

function settled(first: string, reads: readonly string[], signal = new AbortController().signal): Promise<string> {
  const next = reads.values();
  return settle(first, {
    read: () => Promise.resolve(next.next().value ?? assert.fail('read once too often')),
    isSame: (one, other) => one === other,
    waitMs: () => 0,
    signal,
  });
}

test('a file that is being written counts once two reads in a row agree', async () => {
  assert.equal(await settled('whole', ['whole']), 'whole');
  assert.equal(await settled('', ['ha', 'half', 'whole', 'whole']), 'whole');
});

test('a file that never comes to rest is taken as it is', async () => {
  const reads = Array.from({ length: 19 }, (_, index) => `version ${index}`);
  assert.equal(await settled('first', reads), 'version 18');
});

test('nothing is read any more after an abort', async () => {
  assert.equal(await settled('first', [], AbortSignal.abort()), 'first');
});
