import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reloadsOf, speedOf } from '../../../src/page/app/model/speed.ts';
import { marksOf, outagesOf } from '../../../src/page/app/model/timeline.ts';
import type { Event } from '../../../src/report/events.ts';
import { sceneEvents, sceneNow, sceneStatus } from '../../support/values/scene.ts';

const minute = 60_000;
const events = sceneEvents();

test('what happens within ten seconds is one mark, at its place in the last quarter of an hour', () => {
  const reloads = marksOf(events, 'reloads', sceneNow);
  assert.deepEqual(
    reloads.map(({ at, count }) => [Math.round(at * 15), count]),
    [
      [3, 1],
      [6, 1],
      [11, 1],
    ],
  );
  assert.equal(marksOf(events, 'failures', sceneNow)[0]?.tone, 'bad');
  assert.deepEqual(marksOf(events, 'reloads', sceneNow + 60 * minute), []);
});

test('an outage lasts from its beginning to its end, or until now', () => {
  const bars = outagesOf(events, sceneStatus(1), sceneNow);
  assert.deepEqual(
    bars.map(({ who, from, to }) => [who, Math.round(from * 15), to]),
    [['consul', 9, 1]],
  );
  const over = { kind: 'source_recovered', watcher: 'consul', id: 'x', at: sceneNow - 3 * minute } as Event;
  const [bar] = outagesOf([...events, over], sceneStatus(1, true), sceneNow);
  assert.deepEqual([bar?.from.toFixed(2), bar?.to.toFixed(2)], ['0.60', '0.80']);
});

test('the time from a change until it is applied, and reloads by reason, are those of the last quarter of an hour', () => {
  const { p50, p99, all } = speedOf(events, sceneNow);
  assert.ok(p50 !== null && p50 < 25 && p99 !== null && p99 > 1000 && all.length > 20);
  assert.deepEqual(reloadsOf(events, sceneNow), {
    count: 3,
    reasons: [
      ['proxy_added', 2],
      ['option_changed', 1],
      ['bind_changed', 1],
    ],
  });
  assert.equal(speedOf(events, sceneNow + 60 * minute).last, null);
});
