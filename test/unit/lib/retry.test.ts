import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs, pause, Retries } from '../../../src/lib/time/retry.ts';

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

const patience = { baseMs: 100, capMs: 1500, longestMs: 30_000, share: 1 / 8 };

/** The waits of a trouble of `lastsMs` in which each try fails after `tryMs`. */
function waits(
  lastsMs: number,
  random: () => number,
  tryMs = 5,
): readonly { readonly at: number; readonly ms: number }[] {
  const retries = new Retries(patience);
  const all: { readonly at: number; readonly ms: number }[] = [];
  for (let at = 0; at < lastsMs; ) {
    const ms = retries.failed(at, 0, random);
    all.push({ at, ms });
    at += ms + tryMs;
  }
  return all;
}

test('what has been in trouble for minutes is tried every half a minute at most, and what was for a moment soon', () => {
  for (const { at, ms } of waits(3_600_000, () => 0.999)) {
    assert.ok(ms <= Math.max(1500, at / 8) && ms <= 30_000, `${ms} ms after ${at} ms`);
    if (at > 300_000) assert.ok(ms > 29_000);
  }
});

test('tries of a fleet are spread over the whole of each wait, so that they do not come together', () => {
  const late = waits(3_600_000, Math.random).filter(({ at }) => at > 600_000);
  assert.ok(late.some(({ ms }) => ms < 10_000) && late.some(({ ms }) => ms > 20_000));
  const perSecond = late.length / 3000;
  assert.ok(perSecond < 0.1, `${perSecond.toFixed(2)} tries a second`);
});

test('a failure after a while of health is the first one of another trouble; what the server asks for is heeded', () => {
  const retries = new Retries(patience);
  for (let at = 0; at < 600_000; ) at += retries.failed(at, 0, () => 0.999) + 5;
  assert.ok(retries.failed(700_000, 0, () => 0.999) < 100);
  assert.equal(
    retries.failed(700_100, 7000, () => 0),
    7000,
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
