import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { SecondRead } from '../../../../watchers/kubernetes/api/second-read.ts';
import { Doubts } from '../../../../watchers/kubernetes/doubts.ts';

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
      return true;
    },
    onFailure: () => assert.fail('no read fails'),
    signal: stop.signal,
  });
  for (let at = 0; at < 60; at++) doubts.add(`shop/s${at}`, 'empty');
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
  doubts.add('shop/web', 'empty');
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
      onRead: () => true,
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

/** Doubts by a clock of the test's own, and what was asked and confirmed so far: `SECONDS KEYS`. */
function following(t: TestContext, read: () => Promise<SecondRead> = async () => nobody) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const doubts = new Doubts(() => now);
  const stop = new AbortController();
  const asked: string[] = [];
  const confirmed: string[] = [];
  const settling = doubts.settle({
    read(keys) {
      asked.push(`${now / 1000} ${keys.join()}`);
      return read();
    },
    onRead(keys) {
      confirmed.push(`${now / 1000} ${keys.join()}`);
      for (const key of keys) doubts.end(key);
      return true;
    },
    onFailure: () => assert.fail('no read fails'),
    signal: stop.signal,
  });
  return {
    doubts,
    asked,
    confirmed,
    async pass(ms: number) {
      for (let at = 0; at < ms; at += 100) {
        await setImmediate();
        now += 100;
        t.mock.timers.tick(100);
      }
      await setImmediate();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await settling;
    },
  };
}

test('a Service that was deleted is asked about again a second later, one that has nobody at once', async (t) => {
  await using my = following(t);
  my.doubts.add('shop/deleted', 'deleted');
  my.doubts.add('shop/empty', 'empty');
  await my.pass(900);
  assert.deepEqual(my.asked, ['0 shop/empty']);
  await my.pass(100);
  assert.deepEqual(my.asked, ['0 shop/empty', '1 shop/deleted']);
  await my.pass(100);
  my.doubts.add('shop/next', 'empty');
  await my.pass(0);
  assert.equal(my.asked.at(-1), '1.1 shop/next', 'whoever comes while nothing is due is not kept waiting');
});

test('a Service that is created again in time is left until its slices can be there, and is forgotten when they are', async (t) => {
  await using my = following(t);
  my.doubts.add('shop/web', 'deleted');
  await my.pass(900);
  my.doubts.created('shop/web');
  my.doubts.add('shop/web', 'without_slices');
  await my.pass(1000);
  assert.deepEqual(my.asked, []);
  my.doubts.end('shop/web');
  await my.pass(5000);
  assert.deepEqual(my.asked, []);
});

test('a Service that has just been created gets the time that its slices take, also where those of its predecessor go in between', async (t) => {
  await using my = following(t);
  my.doubts.created('shop/web');
  await my.pass(1000);
  my.doubts.add('shop/web', 'without_slices');
  await my.pass(400);
  assert.deepEqual(my.asked, []);
  await my.pass(200);
  assert.deepEqual(my.confirmed, ['1.5 shop/web']);
  my.doubts.add('shop/web', 'without_slices');
  await my.pass(0);
  assert.equal(my.confirmed.at(-1), '1.6 shop/web', 'it was created long ago');
});

test('where slices are not written for what the Service has become, they are waited for, but not for ever', async (t) => {
  await using my = following(t);
  my.doubts.add('shop/web', 'unsettled');
  await my.pass(9900);
  assert.deepEqual(my.asked, []);
  await my.pass(200);
  assert.deepEqual(my.confirmed, ['10 shop/web']);
});

test('reads that say nothing for now, because the watch fails, are no contradiction', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const doubts = new Doubts();
  doubts.add('shop/web', 'empty');
  const stop = new AbortController();
  let reads = 0;
  const settling = doubts.settle({
    read: async () => nobody,
    onRead() {
      reads += 1;
      return false;
    },
    onFailure: () => assert.fail('no read fails'),
    signal: stop.signal,
  });
  for (let round = 0; round < 50; round++) {
    await setImmediate();
    t.mock.timers.tick(1000);
  }
  assert.ok(reads > 20 && doubts.has('shop/web'), `${reads} reads`);
  stop.abort();
  await settling;
});

test('a read that was under way when the Service was deleted confirms nothing', async (t) => {
  const { promise, resolve } = Promise.withResolvers<SecondRead>();
  await using my = following(t, () => promise);
  my.doubts.add('shop/web', 'empty');
  await my.pass(100);
  my.doubts.add('shop/web', 'deleted');
  resolve(nobody);
  await my.pass(900);
  assert.deepEqual(my.confirmed, ['0.1 ']);
  await my.pass(200);
  assert.equal(my.confirmed.at(-1), '1.1 shop/web');
});
