import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Doubts } from '../../watchers/kubernetes/doubts.ts';
import type { SecondRead } from '../../watchers/kubernetes/second-read.ts';

const nobody: SecondRead = { services: new Map(), slices: new Map() };

test('who is in doubt is asked about, many at once, until the doubt ends', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const doubts = new Doubts();
  const stop = new AbortController();
  const asked: (readonly string[])[] = [];
  const settling = doubts.settle({
    read: async (keys) => {
      asked.push(keys);
      return nobody;
    },
    onRead(keys) {
      for (const key of keys) doubts.end(key);
    },
    onFailure: () => assert.fail('no read fails'),
    signal: stop.signal,
  });
  for (let at = 0; at < 60; at++) doubts.add(`shop/s${at}`);
  for (let round = 0; round < 20; round++) {
    await setImmediate();
    t.mock.timers.tick(10_000);
  }
  assert.deepEqual(
    asked.map((keys) => keys.length),
    [50, 10],
  );
  assert.equal(new Set(asked.flat()).size, 60);
  stop.abort();
  await settling;
});

test('a list that denies what the watch says, again and again, ends it; a read that fails is told and tried again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const doubts = new Doubts();
  doubts.add('shop/web');
  let reads = 0;
  let failed = 0;
  let error: unknown;
  const settling = doubts
    .settle({
      read: async () => {
        reads += 1;
        if (reads < 3) throw new Error('away');
        return nobody;
      },
      onRead: () => {},
      onFailure: () => {
        failed += 1;
      },
      signal: new AbortController().signal,
    })
    .catch((thrown: unknown) => {
      error = thrown;
    });
  for (let round = 0; round < 100 && error === undefined; round++) {
    await setImmediate();
    t.mock.timers.tick(10_000);
  }
  await settling;
  assert.match(String(error), /the watch says again and again that nobody serves shop\/web/);
  assert.deepEqual([failed, reads], [2, 13]);
});
