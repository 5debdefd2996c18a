import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs, pause } from '../../src/retry.ts';

test('a wait before a retry is somewhere between nothing and an exponentially growing, capped limit', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
      const ms = backoffMs(attempt, { baseMs: 100, capMs: 5000 }, () => random);
      assert.ok(ms >= 0 && ms <= Math.min(5000, 100 * 2 ** attempt));
    }),
  );
  assert.equal(
    backoffMs(3, { baseMs: 100, capMs: 5000 }, () => 0.5),
    400,
  );
});

test('a pause ends at once when its signal aborts, and leaves no listener', async () => {
  const abort = new AbortController();
  const paused = pause(3_600_000, abort.signal);
  abort.abort();
  await paused;
  await pause(3_600_000, abort.signal);
  assert.deepEqual(getEventListeners(abort.signal, 'abort'), []);
});
