/** How long what failed is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BackOff, backOff, isSameFailure, retriedSoon } from '../../../src/haproxy/text/back-off.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';

const pace = { shortestMs: 250, longestMs: 30_000 };
const web = (servers: number, option = 'http-keep-alive') =>
  splitSections(
    `backend web\n    option ${option}\n${Array.from({ length: servers }, (_, at) => `    server s${at} 192.0.2.${at}:80\n`).join('')}`,
  );

test('BackOff: the pause doubles with each failure in a row, up to the longest', () => {
  let one: BackOff | null = null;
  const pauses: number[] = [];
  for (let at = 0; pauses.length < 10; at += 100_000) {
    one = backOff(one, web(1), at, pace);
    pauses.push(one.until - at);
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('BackOff: other servers make no other failure, another structure begins anew', () => {
  const twice = backOff(backOff(null, web(1), 0, pace), web(2), 1000, pace);
  assert.equal(twice.failures, 2);
  assert.ok(isSameFailure(twice, web(0)));
  assert.ok(!isSameFailure(twice, web(1, 'httpclose')));
  assert.equal(backOff(twice, web(1, 'httpclose'), 2000, pace).failures, 1);
  assert.ok(!isSameFailure(null, web(1)));
});

test('BackOff: what may be mended is tried as soon as after a first failure, and counts as before when it fails again', () => {
  const thrice = [0, 1000, 2000].reduce<BackOff | null>((one, at) => backOff(one, web(1), at, pace), null);
  assert.ok(thrice !== null);
  const soon = retriedSoon(thrice, pace);
  assert.deepEqual(soon, { ...thrice, until: 2250 });
  assert.equal(backOff(soon, web(1), 3000, pace).until, 5000);
});

test('BackOff: no pause is shorter than the shortest or longer than the longest, whatever fails in whatever order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ passMs: fc.nat(100_000), servers: fc.nat(3), isOther: fc.boolean() })),
      (steps) => {
        let [one, at]: [BackOff | null, number] = [null, 0];
        for (const { passMs, servers, isOther } of steps) {
          at += passMs;
          one = backOff(one, web(servers, isOther ? 'httpclose' : 'http-keep-alive'), at, pace);
          assert.ok(one.until - at >= pace.shortestMs && one.until - at <= pace.longestMs);
          assert.ok(retriedSoon(one, pace).until <= one.until);
        }
      },
    ),
  );
});
